"""How the fraud model in service does at a site: by what became known, by its inputs, by its pace."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
from django.db.models import OuterRef, Subquery, Sum

from apps.accounts.models import Site
from apps.core.clock import now
from apps.core.words import counted
from apps.fraud.common.selectors import last_verdicts
from apps.fraud.models import LABELLED, Decision, FraudLabel, HourlyCount, Outcome, Verdict
from apps.fraud.watch.drift import drift_at
from apps.fraud.watch.services.counts import hour_of
from apps.fraud.watch.watch import HOUR, LAST, Period, Precision, tallies, whole
from apps.fraud.work.services.budget import MATURE
from apps.modelops.common.selectors import artefact_dir
from apps.modelops.common.watched import Fact
from apps.modelops.models import ModelVersion, WatchReading
from apps.modelops.registry import domain_named, load
from ml.common.artefact import ArtefactError
from ml.common.curves import curves
from ml.common.metrics import (
    average_precision,
    bootstrap_intervals,
    brier,
    expected_calibration_error,
    roc_auc,
)

WINDOW = timedelta(days=90)  # of matured payments
ROWS = 20_000  # of them at most, the newest
ROUNDS = 100
ENOUGH = 1000  # below which a calibration curve of something so rare says nothing
DAY, WEEKS = timedelta(days=1), 4
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def watch(site: Site, version: ModelVersion) -> Iterator[Fact]:
    yield _precision(site, version)
    yield from _by_matured(_matured(site, version), version)
    yield from _drift(site)
    yield from _pace(site)
    yield _volume(site)
    yield _cost(site, version)


def reliability(site: Site, version: ModelVersion) -> list[list[float]]:
    matured = _matured(site, version)
    found = curves(matured.truth, matured.scores)
    return found["reliability"] if found and len(matured.truth) >= ENOUGH else []


def _precision(site: Site, version: ModelVersion) -> Fact:
    """Of each alert the last disposition counts, at once."""
    called = last_verdicts().filter(
        alert__site=site, disposition__verdict__in=LABELLED,
        alert__decision__artefact_hash=version.artefact_hash,
    ).order_by("-disposition_id", "-pk")  # fmt: skip
    verdicts = called.values_list("disposition__verdict", flat=True)[:LAST]
    calls = [LABELLED[Verdict(verdict)] for verdict in verdicts]
    if not calls:
        return Fact("precision", None, says="No alert of this version was called fraud or legitimate.")
    found = Precision(sum(calls), len(calls))
    says = f"{found.frauds:,} fraud of {found.n:,} that were called either"
    return Fact("precision", found.share, found.n, found.low, found.high, says=says)


@dataclass(frozen=True, slots=True)
class Matured:
    """(n,) each: what it was, what the model said, whose it was; and how many were declined, and unknown."""

    truth: Ints
    scores: Floats
    cards: list[str]
    n_unknown: int


def _matured(site: Site, version: ModelVersion) -> Matured:
    """The last word counts; a payment that went through and of which nobody spoke is legitimate by now."""
    until = now() - MATURE
    last = FraudLabel.objects.filter(transaction=OuterRef("transaction")).order_by("-received_at", "-pk")
    decided = Decision.objects.filter(
        decided_at__gte=until - WINDOW, decided_at__lt=until, artefact_hash=version.artefact_hash,
        score__isnull=False, transaction__source__site=site,
    ).order_by("-decided_at", "-pk")  # fmt: skip
    told = decided.annotate(fraud=Subquery(last.values("fraud")[:1]))
    rows = list(told.values_list("fraud", "score", "outcome", "transaction__card_token")[:ROWS])
    known = [row for row in rows if row[0] is not None or row[2] != Outcome.DECLINE]
    return Matured(
        np.array([bool(row[0]) for row in known], np.int64),
        np.array([row[1] for row in known], np.float64),
        [row[3] for row in known],
        len(rows) - len(known),
    )


def _by_matured(matured: Matured, version: ModelVersion) -> Iterator[Fact]:
    n, frauds = len(matured.truth), int(matured.truth.sum())

    def of(rows: Any) -> dict[str, float | None]:
        given = matured.truth[rows], matured.scores[rows]
        return {
            "auc": roc_auc(*given), "ap": average_precision(*given), "brier": brier(*given),
            "ece": expected_calibration_error(*given),
        }  # fmt: skip

    values = of(slice(None))
    intervals = bootstrap_intervals(of, matured.cards, rounds=ROUNDS, seed=0) if n else {}
    says = f"{counted(n, 'payment')}, {frauds:,} of them fraud; {matured.n_unknown:,} declined and unknown"
    if not n:
        says = f"No payment that this version decided is older than {MATURE.days} days."
    for name, value in values.items():
        low, high = intervals.get(name, (None, None))
        rests_on = min(frauds, n - frauds) if name in ("auc", "ap") else n
        yield Fact(name, value, rests_on, low, high, version.metrics.get("test", {}).get(name), says)


def _drift(site: Site) -> Iterator[Fact]:
    found = drift_at(site)
    if not found.rows:
        for name in ("score_drift", "input_drift"):
            yield Fact(name, None, found.n, says=found.why_not)
        return
    score, *features = found.rows
    says = f"Index {score.psi:.3f}, limit {score.limit:.3f}, of {counted(found.n, 'payment')}"
    yield Fact("score_drift", score.psi / score.limit if score.limit else None, found.n, says=says)
    moved = [row.name for row in features if row.drifted]
    says = f"{len(moved)} of {len(features)}" + (f", first {', '.join(moved[:3])}" if moved else "")
    yield Fact("input_drift", len(moved) / len(features), found.n, says=says)


def _pace(site: Site) -> Iterator[Fact]:
    total = whole(tallies(site, Period(1)))
    says = f"{counted(total.n, 'payment')} of 24 hours"
    yield Fact("degraded", total.degraded / total.n if total.n else None, total.n, says=says)
    yield Fact("alert_rate", total.alert_rate, total.n, says=says)
    yield Fact("latency", total.percentile_ms(0.99), total.n, says=says)


def _volume(site: Site) -> Fact:
    """Of hours that are over."""
    end = hour_of(now())

    def decided(week: int) -> int:
        until = end - timedelta(weeks=week)
        hours = HourlyCount.objects.filter(site=site, hour__gte=until - 24 * HOUR, hour__lt=until)
        return int(hours.aggregate(n=Sum("n"))["n"] or 0)

    today, *before = (decided(week) for week in range(WEEKS + 1))
    if not all(before):
        return Fact("volume", None, sum(before), says=f"Payments came in on fewer than {WEEKS} such days.")
    usual = sum(before) / WEEKS
    return Fact("volume", today / usual, sum(before), says=f"{today:,} in 24 hours, usually {usual:,.0f}")


def _cost(site: Site, version: ModelVersion) -> Fact:
    """It runs in one thread, so that the time is the processor's. Loading it costs more than asking again."""
    before = WatchReading.objects.filter(
        site=site, domain="fraud", measure="cost", version=version, value__isnull=False
    )
    value = before.order_by("-hour").values_list("value", flat=True).first()
    if value is None:
        try:
            # Only now: the page's reliability is asked of this module too, and needs no model.
            measure_speed = load(domain_named("fraud").speed)
            value = measure_speed(artefact_dir(version), version.artefact_hash)["ms_1"]
        except ArtefactError as error:
            return Fact("cost", None, says=error.message[:200])
    return Fact("cost", value, says="Features at hand, one payment at a time")
