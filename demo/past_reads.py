"""A quarter of synthetic reads: drawn films, the demo's own model, and two readers who err as chance says."""

from __future__ import annotations

import csv
import logging
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from django.db import transaction
from django.db.models import F

from apps.accounts.models import Site, User
from apps.core.clock import now
from apps.radiology.analysis.services.analyse import analyse_instance
from apps.radiology.common.services.draws import throw
from apps.radiology.common.services.senders import Sender
from apps.radiology.lifecycle.services.freeze_reads import freeze_reads
from apps.radiology.models import (
    Discrepancy,
    Instance,
    Purpose,
    ReadingPolicy,
    Reason,
    SecondRead,
    Study,
)
from apps.radiology.quality.services.adjudicate import Settlement, adjudicate, open_case
from apps.radiology.quality.services.compare import compare_due_studies
from demo.films import dated, take_in
from demo.simulated_reader import read_whole

SEED, ROWS, DAYS = 31, 256, 80
FILMS = {"demo": 260, "tiny": 60}
RATES = {"second_read_rate": 0.35, "sample_rate": 0.3}  # of the past; the site goes on with few percent
GOES_ON = {"second_read_rate": 0.03, "sample_rate": 0.05}
GIVEN, LEFT_OPEN = 0.95, 0.5
REASONS = {"present": (Reason.MISSED, Reason.SATISFACTION), "absent": (Reason.OVERCALLED, Reason.DEFINITION)}
POINTS = (
    "Compare both costophrenic angles.",
    "",
    "A nipple shadow is symmetric.",
    "",
    "Look behind the heart.",
)


@dataclass(frozen=True, slots=True)
class Past:
    """A study, with what was drawn on its film."""

    study: Study
    truth: Mapping[str, bool]
    received: datetime


def read_the_past(site: Site, size: str) -> None:
    """Films in, analysed, read, read again, settled: all or nothing; then frozen."""
    logging.disable(logging.WARNING)  # nobody hears the bells yet, and nobody wants to read that here
    try:
        with transaction.atomic():
            _read_all(site, size)
        freeze_reads(site, "reads")
    finally:
        logging.disable(logging.NOTSET)


def _read_all(site: Site, size: str) -> None:
    policy = ReadingPolicy.objects.create(site=site, **RATES)
    rng = np.random.default_rng(SEED)
    readers = [User.objects.get(email=f"{name}@demo.example") for name in ("radiologist", "radiologist2")]
    films = _films(site, FILMS[size])
    for past in films:
        _read_one(past, readers, rng)
    compare_due_studies()
    _settle(site, {past.study.pk: past.truth for past in films}, readers, rng)
    compare_due_studies()
    Study.objects.filter(site=site).update(results_for=F("changed_at"))
    ReadingPolicy.objects.filter(pk=policy.pk).update(**GOES_ON)


def _films(site: Site, n: int) -> list[Past]:
    """Analysed and complete, received on a day of the last quarter."""
    from ml.radiology.synthetic import LABELS, write_films

    sender, found = Sender(site, "stow", name="Demo archive"), []
    rng = np.random.default_rng((SEED, 1))
    with tempfile.TemporaryDirectory() as scratch:
        with write_films(Path(scratch), n, seed=SEED, rows=ROWS, workers=2).open() as table:
            rows = list(csv.DictReader(table))
        for row in rows:
            received = now() - timedelta(days=float(rng.uniform(1, DAYS)))
            instance = take_in(dated(Path(scratch) / row["file"], received), sender)
            found.append((instance.pk, {label: row[label] == "1" for label in LABELS}, received))
    for pk, _, _ in found:
        analyse_instance(pk)
    films = Instance.objects.select_related("study__site").in_bulk([pk for pk, _, _ in found])
    return [Past(films[pk].study, truth, received) for pk, truth, received in found]


def _read_one(past: Past, readers: list[User], rng: np.random.Generator) -> None:
    study, received = past.study, past.received
    throw(study, Purpose.SAMPLE)
    first, second = (readers[i] for i in rng.permutation(2))
    hours = float(rng.lognormal(0.2 if study.raised else 1.0, 0.7))
    read_whole(study, first, past.truth, received + timedelta(hours=hours), rng)
    if study.second_reads.exists() and rng.random() < GIVEN:
        read_whole(study, second, past.truth, received + timedelta(hours=hours + 5), rng)
    Study.objects.filter(pk=study.pk).update(
        received_at=received,
        last_received_at=received,
        complete_at=received + timedelta(seconds=30),
    )


def _settle(
    site: Site, truths: Mapping[int, Mapping[str, bool]], readers: list[User], rng: np.random.Generator
) -> None:
    """Half of the cases, as it was drawn, by the reader who did not read them where there is one."""
    waiting = SecondRead.objects.filter(read=None).values("study")
    open_ones = Discrepancy.objects.filter(study__site=site, settled_at=None).exclude(study__in=waiting)
    for study in Study.objects.filter(pk__in=open_ones.values("study")).order_by("pk"):
        if rng.random() < LEFT_OPEN:
            continue
        first = study.reads.order_by("pk").values_list("reader", flat=True)[0]
        judge = next(one for one in readers if one.pk != first)
        open_case(study, judge)
        labels = open_ones.filter(study=study).values_list("label", flat=True).distinct()
        said = {label: _settlement(truths[study.pk][label], rng) for label in labels}
        adjudicate(study, judge, said)


def _settlement(present: bool, rng: np.random.Generator) -> Settlement:
    verdict = "present" if present else "absent"
    reason = str(rng.choice([one.value for one in REASONS[verdict]]))
    return Settlement(verdict, reason, str(rng.choice(POINTS)))
