"""What a version's scores came to in service: days whose labels are final, and weeks up to now.

A label needs time: an issuer's word on a fraud comes days or weeks later. A payment that was let pass and
of which nobody spoke for MATURE counts as good, as in what is frozen to train on. What was stopped or
alerted and of which nobody spoke is unknown, however old it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from apps.accounts.models import Site
from apps.core.clock import now
from apps.core.recent import recently
from apps.core.sql import from_column, one_of, run
from apps.fraud.models import Decision, FraudLabel, Outcome
from ml.fraud.heldout import UNKNOWN, Floats, HeldOut, Ints
from ml.fraud.windows import DAY_US

MATURE = timedelta(days=60)
SHOWN = timedelta(days=60)  # of final days
SAMPLE = 60_000
DELAYS = 5_000
WEEK_US = 7 * DAY_US
Q = (0.5, 0.95)


@dataclass(frozen=True, slots=True)
class Week:
    """Seven days from `at` by the thresholds that were asked with; `final`: they are all older than MATURE.

    `payments` is an estimate where `Recent.scale` is above 1; frauds and what is caught are of the sample.
    """

    at: datetime
    payments: int
    known: int
    frauds: int
    caught: int
    precision: float | None
    recall: float | None
    final: bool


@dataclass(frozen=True, slots=True)
class Recent:
    """Of n payments of the sample, oldest first: epoch µs, calibrated score, minor units, label as known now.

    `scale`: how many payments one of them stands for; `delays_days`: after how many days half and 95 % of
    frauds are known, of those old enough; None while none is.
    """

    at_us: Ints
    scores: Floats
    amounts: Ints
    labels: Ints
    scale: int
    delays_days: tuple[float, float] | None
    asked_at: datetime

    @property
    def final_before_us(self) -> int:
        return _us(self.asked_at - MATURE)


def recent_scores(site: Site, artefact_hash: str) -> Recent:
    """Of at most SAMPLE decisions, evenly from the last MATURE and SHOWN; a moment old."""
    found = _recent((site.pk, artefact_hash))
    if found is None:
        raise RuntimeError("unreachable: a sample may be empty, never missing")
    return found


def final_days(found: Recent) -> HeldOut | None:
    """The whole days that are final, as an artefact's held-out days are kept; None while there is none."""
    final = found.at_us < found.final_before_us
    if not final.any():
        return None
    start = int(found.at_us[final][0])
    n_days = (found.final_before_us - start) // DAY_US
    if n_days < 1:
        return None
    final &= found.at_us < start + n_days * DAY_US
    order = np.argsort(-found.scores[final], kind="stable")
    days = (found.at_us[final] - start) // DAY_US
    fraud = (found.labels[final] == 1).astype(np.float64)

    def by_day(values: Floats | None) -> Floats:
        return np.bincount(days, values, minlength=n_days).astype(np.float64)

    return HeldOut(
        scores=found.scores[final][order].astype(np.float32),
        labels=found.labels[final][order].astype(np.int8),
        amounts=found.amounts[final][order],
        days=days[order].astype(np.int16),
        weights=np.ones(len(order), np.float32),
        payments_of_day=by_day(None),
        frauds_of_day=by_day(fraud),
        fraud_minor_of_day=by_day(fraud * found.amounts[final]),
        start_us=np.array([start], np.int64),
    )


def weeks(found: Recent, review: float) -> list[Week]:
    """The newest last; the last one ends now."""
    if not len(found.at_us):
        return []
    end = _us(found.asked_at)
    ago = (end - 1 - found.at_us) // WEEK_US
    return [
        _week(found, ago == number, end - (number + 1) * WEEK_US, review)
        for number in range(int(ago.max()), -1, -1)
    ]


def _week(found: Recent, here: npt.NDArray[np.bool_], start_us: int, review: float) -> Week:
    alert = here & (found.scores >= np.float32(review))
    fraud, known = found.labels == 1, found.labels != UNKNOWN
    frauds, caught, told = (int(one.sum()) for one in (here & fraud, alert & fraud, alert & known))
    return Week(
        at=datetime.fromtimestamp(start_us / 1e6, UTC),
        payments=int(here.sum()) * found.scale,
        known=int((here & known).sum()) * found.scale,
        frauds=frauds,
        caught=caught,
        precision=caught / told if told else None,
        recall=caught / frauds if frauds else None,
        final=start_us + WEEK_US <= found.final_before_us,
    )


@recently
def _recent(key: tuple[int, str]) -> Recent | None:
    site_pk, artefact_hash = key
    at = now()
    ids, scale = _sample(at - MATURE - SHOWN)
    among, wanted = one_of(ids, "bigint")
    rows = run(
        "SELECT t.id, t.occurred_at, d.score, t.amount_reporting_minor, d.outcome, d.deadline_hit"
        " FROM fraud_decision d JOIN fraud_transaction t ON t.id = d.transaction_id"
        " JOIN fraud_source s ON s.id = t.source_id"
        f" WHERE d.id {among} AND s.site_id = %s AND d.artefact_hash = %s",
        [wanted, site_pk, artefact_hash],
    ).fetchall()
    said = run(
        "SELECT l.transaction_id, l.fraud FROM fraud_fraudlabel l"
        f" JOIN fraud_decision d ON d.transaction_id = l.transaction_id WHERE d.id {among}"
        " ORDER BY l.received_at, l.id",
        [wanted],
    ).fetchall()
    return _arranged(rows, {pk: int(fraud) for pk, fraud in said}, scale, _delays(site_pk, at), at)


def _sample(since: datetime) -> tuple[list[int], int]:
    """Keys of decisions, evenly, and how far they lie apart: primary keys grow with time."""
    made = Decision.objects.filter(decided_at__gte=since).order_by("decided_at", "pk")
    first, last = made.values_list("pk").first(), Decision.objects.order_by("-pk").values_list("pk").first()
    if not first or not last:
        return [], 1
    apart = max(1, math.ceil((last[0] - first[0] + 1) / SAMPLE))
    return list(range(first[0], last[0] + 1, apart)), apart


def _arranged(
    rows: Sequence[Any],
    label_of: dict[int, int],
    scale: int,
    delays: tuple[float, float] | None,
    at: datetime,
) -> Recent:
    first_us, final_us, end_us = _us(at - MATURE - SHOWN), _us(at - MATURE), _us(at)
    kept = []
    for pk, occurred_at, score, amount_minor, outcome, deadline_hit in rows:
        at_us = _us(from_column(occurred_at))
        silence = outcome == Outcome.APPROVE and not deadline_hit and at_us < final_us
        if first_us <= at_us < end_us:
            kept.append((at_us, score, amount_minor, label_of.get(pk, 0 if silence else UNKNOWN)))
    kept.sort()
    times, scores, amounts, labels = zip(*kept, strict=True) if kept else ((), (), (), ())
    return Recent(
        np.array(times, np.int64), np.array(scores, np.float64), np.array(amounts, np.int64),
        np.array(labels, np.int64), scale, delays, at,
    )  # fmt: skip


def _delays(site_pk: int, at: datetime) -> tuple[float, float] | None:
    old = FraudLabel.objects.filter(
        fraud=True, transaction__source__site=site_pk, transaction__occurred_at__lt=at - MATURE
    ).order_by("-id")
    pairs = old.values_list("received_at", "transaction__occurred_at")[:DELAYS]
    days = [(received - occurred) / timedelta(days=1) for received, occurred in pairs]
    if not days:
        return None
    half, most = np.quantile(days, Q)
    return float(half), float(most)


def _us(at: datetime) -> int:
    return int(at.timestamp() * 1e6)
