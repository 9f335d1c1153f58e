"""How long studies wait for their report, and how far two readers agree."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from django.db.models import Min, Q

from apps.accounts.models import Site
from apps.radiology.models import SIGNED, ReadState, SecondRead, Study
from apps.radiology.quality.quality import ENOUGH
from apps.radiology.studies.read_labels import reads_of_studies
from ml.common.agreement import Agreement, cohen_kappa
from ml.common.metrics import quantile_interval
from ml.radiology.reader_labels import Label
from ml.radiology.vocabulary import says

PAIRS_MAX = 2000
WEEK_ENOUGH = 5
QUANTILES = {"median": 0.5, "90th": 0.9}


@dataclass(frozen=True, slots=True)
class Wait:
    """Hours from receipt to sign-off, with 95 % intervals; of `n` studies."""

    title: str
    n: int
    quantiles: dict[str, tuple[float, float, float]]

    @property
    def enough(self) -> bool:
        return self.n >= ENOUGH


@dataclass(frozen=True, slots=True)
class Signed:
    received_at: datetime
    signed_at: datetime
    raised: bool

    @property
    def hours(self) -> float:
        return (self.signed_at - self.received_at).total_seconds() / 3600


def signed_studies(site: Site, since: datetime | None) -> list[Signed]:
    """Each with its first sign-off that stands, the earliest first."""
    stands = ~Q(reads__state=ReadState.RETRACTED)
    studies = Study.objects.filter(site=site, withdrawn=False, read_state__in=SIGNED)
    studies = studies.annotate(signed=Min("reads__signed_at", filter=stands))
    if since:
        studies = studies.filter(signed__gte=since)
    return [Signed(*row) for row in studies.order_by("signed").values_list("received_at", "signed", "raised")]


def waits(signed: Iterable[Signed]) -> list[Wait]:
    """All, and apart those that the model raised."""
    all_of = list(signed)
    parts = {
        "All studies": all_of,
        "Raised by AI": [one for one in all_of if one.raised],
        "Not raised": [one for one in all_of if not one.raised],
    }
    return [Wait(title, len(part), _quantiles(part)) for title, part in parts.items()]


def turnaround(signed: Iterable[Signed]) -> dict[str, Any]:
    """The chart component's JSON: by the week of sign-off."""
    weeks: dict[str, list[Signed]] = {}
    for one in signed:
        monday = one.signed_at.date() - timedelta(days=one.signed_at.weekday())
        weeks.setdefault(monday.isoformat(), []).append(one)
    held = {week: _quantiles(part) for week, part in weeks.items() if len(part) >= WEEK_ENOUGH}
    series = [
        {
            "name": name,
            "points": [[week, round(found[name][0], 2)] for week, found in held.items()],
            "band": [[week, *(round(end, 2) for end in found[name][1:])] for week, found in held.items()],
        }
        for name in QUANTILES
    ]
    return {
        "x": {"name": "week of sign-off"},
        "y": {"name": "receipt to sign-off", "unit": "h", "min": 0},
        "series": series if held else [],
        "done": True,
    }


def _quantiles(part: list[Signed]) -> dict[str, tuple[float, float, float]]:
    hours = np.array([one.hours for one in part])
    return {name: quantile_interval(hours, q) for name, q in QUANTILES.items()} if part else {}


@dataclass(frozen=True, slots=True)
class Kappa:
    """One finding: of pairs that chance chose, and of those somebody asked for."""

    label: str
    drawn: Agreement
    requested: Agreement

    @property
    def says(self) -> str:
        return says(self.label)


def kappas(site: Site, since: datetime | None) -> list[Kappa]:
    """Of pairs of blind reads that both call a finding present or absent; by finding."""
    given = SecondRead.objects.filter(study__site=site, read__isnull=False)
    if since:
        given = given.filter(read__committed_at__gte=since)
    pairs = list(given.order_by("-pk")[:PAIRS_MAX])
    held = reads_of_studies({pair.study_id for pair in pairs})
    labels = {one.read.pk: one.labels for study in held.values() for one in study.reads}
    tables: dict[str, dict[bool, list[int]]] = {}
    for pair in pairs:
        first, second = labels.get(pair.first_id, {}), labels.get(pair.read_id or 0, {})
        _count(tables, pair.requested_by_id is None, first, second)
    return [
        Kappa(label, cohen_kappa(*table[True]), cohen_kappa(*table[False]))
        for label, table in sorted(tables.items(), key=lambda item: says(item[0]))
    ]


def _count(
    tables: dict[str, dict[bool, list[int]]], drawn: bool, first: dict[str, Label], second: dict[str, Label]
) -> None:
    for label in first.keys() & second.keys():
        table = tables.setdefault(label, {True: [0, 0, 0, 0], False: [0, 0, 0, 0]})[drawn]
        table[2 * (not first[label].present) + (not second[label].present)] += 1
