"""One hour's decisions of all sites, added up: by outcome and mode, by latency, and by the bins of drift."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from django.db.models import Count, Exists, F, FloatField, OuterRef, Q, QuerySet, Sum, Value
from django.db.models.functions import Ceil, Greatest, Ln

from apps.fraud.common.selectors import last_verdicts
from apps.fraud.models import (
    LABELLED,
    TOO_OLD,
    Decision,
    Evidence,
    FraudLabel,
    HourlyCount,
    HourlyDrift,
    HourlyLatency,
    Verdict,
)
from apps.fraud.watch.drift import reference_of
from apps.modelops.common.selectors import champion
from ml.fraud.latency import LEAST_MS, STEP

HOUR = timedelta(hours=1)
LATE = timedelta(minutes=10)
SAMPLE = 2000  # rows of a site's hour looked at for drift
Cell = tuple[int, str, str]


def decided_in(start: datetime) -> QuerySet[Decision]:
    return Decision.objects.filter(decided_at__gte=start, decided_at__lt=start + HOUR)


def cells_of(start: datetime) -> list[HourlyCount]:
    payment = "transaction__"
    came_late = Q(transaction__received_at__gt=F("transaction__occurred_at") + LATE)
    found = (
        decided_in(start)
        .values_list(f"{payment}source__site_id", "outcome", "mode")
        .annotate(
            n=Count("id"),
            amount_minor=Sum(f"{payment}amount_reporting_minor"),
            alerts=Count("alert"),
            deadline_hits=Count("id", filter=Q(deadline_hit=True)),
            late=Count("id", filter=came_late),
            too_old=Count("id", filter=Q(mode_reason=TOO_OLD)),
        )
        .order_by()
    )
    names = ("n", "amount_minor", "alerts", "deadline_hits", "late", "too_old")
    cells = {
        (site, outcome, mode): HourlyCount(
            site_id=site, hour=start, outcome=outcome, mode=mode, **dict(zip(names, values, strict=True))
        )
        for site, outcome, mode, *values in found
    }
    _add_what_is_known(start, cells)
    return [cells[key] for key in sorted(cells)]


def _add_what_is_known(start: datetime, cells: dict[Cell, HourlyCount]) -> None:
    """A decision made since the cells were counted is left to the next time."""
    for *key, fraud, n, minor, alerted, alerted_minor in _labelled(start):
        if cell := cells.get(tuple(key)):
            if fraud:
                cell.frauds, cell.fraud_minor = n, minor
                cell.frauds_alerted, cell.fraud_alerted_minor = alerted, alerted_minor or 0
            else:
                cell.goods, cell.good_minor = n, minor
    for *key, verdict, n in _disposed(start):
        if cell := cells.get(tuple(key)):
            setattr(cell, "disposed_frauds" if LABELLED[Verdict(verdict)] else "disposed_goods", n)


def _labelled(start: datetime) -> QuerySet[FraudLabel, tuple[Any, ...]]:
    """By cell and by the last label of each payment."""
    decision = "transaction__decision__"
    minor = "transaction__amount_reporting_minor"
    later = FraudLabel.objects.filter(transaction=OuterRef("transaction"), pk__gt=OuterRef("pk"))
    told = FraudLabel.objects.filter(
        ~Exists(later),
        transaction__decision__decided_at__gte=start,
        transaction__decision__decided_at__lt=start + HOUR,
    )
    return (
        told.values_list("transaction__source__site_id", f"{decision}outcome", f"{decision}mode", "fraud")
        .annotate(
            n=Count("pk"),
            minor=Sum(minor),
            alerted=Count(f"{decision}alert"),
            alerted_minor=Sum(minor, filter=Q(transaction__decision__alert__isnull=False)),
        )
        .order_by()
    )


def _disposed(start: datetime) -> QuerySet[Any, tuple[Any, ...]]:
    """By cell and by the last disposition of each alert, once it can no longer be undone: nobody would count
    the hour again after that."""
    decision = "alert__decision__"
    final = last_verdicts().filter(
        disposition__verdict__in=LABELLED, disposition__label_due=None,
        alert__decision__decided_at__gte=start, alert__decision__decided_at__lt=start + HOUR,
    )  # fmt: skip
    key = ("alert__site_id", f"{decision}outcome", f"{decision}mode", "disposition__verdict")
    found: QuerySet[Any, tuple[Any, ...]] = final.values_list(*key).annotate(n=Count("pk")).order_by()
    return found


def latencies_of(start: datetime) -> list[HourlyLatency]:
    least = Value(LEAST_MS, output_field=FloatField())
    step = Value(STEP, output_field=FloatField())
    number = Ceil(Ln(Greatest(F("latency_ms"), least) / least) / step)
    found = decided_in(start).annotate(bin=number).values_list("transaction__source__site_id", "bin")
    of: dict[int, dict[str, int]] = defaultdict(dict)
    for site, of_bin, n in found.annotate(n=Count("id")).order_by():
        of[site][str(int(of_bin))] = n
    return [HourlyLatency(site_id=site, hour=start, counts=counts) for site, counts in sorted(of.items())]


def drift_of(start: datetime) -> list[HourlyDrift]:
    """Of an even sample. What was decided without a score has nothing but missing values; it counts with the
    version in service now. What has no evidence any more does not count."""
    serving = champion("fraud")
    groups: dict[tuple[int, str], list[tuple[float | None, bytes]]] = defaultdict(list)
    sizes = decided_in(start).values_list("transaction__source__site_id").annotate(n=Count("id")).order_by()
    for site, n in list(sizes):
        step = -(-n // SAMPLE)
        rows = decided_in(start).annotate(nth=F("id") % step).filter(nth=0, transaction__source__site=site)
        kept = Evidence.objects.filter(decision__in=rows)
        for artefact_hash, score, features in kept.values_list(
            "decision__artefact_hash", "decision__score", "features"
        ):
            used = artefact_hash or (serving.artefact_hash if serving else "")
            groups[site, used].append((score, bytes(features)))
    return [row for (site, used), of in sorted(groups.items()) if (row := _binned(site, start, used, of))]


def _binned(
    site: int, start: datetime, artefact_hash: str, rows: list[tuple[float | None, bytes]]
) -> HourlyDrift | None:
    """None where the version keeps no reference."""
    reference = reference_of(artefact_hash) if artefact_hash else None
    if reference is None:
        return None
    values = np.full((len(rows), len(reference.names)), np.nan, np.float32)
    for number, (score, features) in enumerate(rows):
        if score is not None and len(features) == 4 * (len(reference.names) - 1):
            values[number, :-1] = np.frombuffer(features, "<f4")
            values[number, -1] = score
    counts = reference.count(values).astype("<i4").tobytes()
    return HourlyDrift(site_id=site, hour=start, artefact_hash=artefact_hash, n=len(rows), counts=counts)
