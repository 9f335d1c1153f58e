"""A site's decisions over a period, from the hourly counts: by day or hour, and what is known of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from typing import Any

from django.db.models import F, Sum
from django.db.models.functions import TruncDay
from django.utils import timezone

from apps.accounts.models import Site
from apps.core.clock import now
from apps.fraud.common.selectors import last_verdicts
from apps.fraud.models import (
    LABELLED,
    CountedHour,
    HourlyCount,
    HourlyLatency,
    Mode,
    OperatingPoint,
    Outcome,
    Verdict,
)
from apps.modelops.common.selectors import champion
from ml.common.metrics import wilson_low
from ml.fraud.latency import percentile_ms
from ml.fraud.operating import Costs, Estimate
from ml.fraud.resampling import ratio_of, sum_of

HOUR = timedelta(hours=1)
LAST = 200  # dispositions that precision is told of
COUNTS = (
    "n", "amount_minor", "alerts", "deadline_hits", "late", "too_old", "frauds", "fraud_minor",
    "frauds_alerted", "fraud_alerted_minor", "goods", "good_minor", "disposed_frauds", "disposed_goods",
)  # fmt: skip


@dataclass(slots=True)
class Tally:
    """What was decided from `start` to `end`. Amounts in minor units of the reporting currency."""

    start: datetime
    end: datetime
    by_outcome: Counter[str] = field(default_factory=Counter)
    by_mode: Counter[str] = field(default_factory=Counter)
    sums: Counter[str] = field(default_factory=Counter)
    declined: Counter[str] = field(default_factory=Counter)
    reviewed: Counter[str] = field(default_factory=Counter)
    latency: Counter[int] = field(default_factory=Counter)

    def add(self, outcome: str, mode: str, counts: dict[str, int]) -> None:
        self.by_outcome[outcome] += counts["n"]
        self.by_mode[mode] += counts["n"]
        self.sums.update(counts)
        if outcome == Outcome.DECLINE:
            self.declined.update(counts)
        elif outcome == Outcome.REVIEW:
            self.reviewed.update(counts)

    @property
    def n(self) -> int:
        return self.sums["n"]

    @property
    def degraded(self) -> int:
        """Decided with less than model and history; for what came too late there was never more."""
        return self.n - self.by_mode[Mode.FULL] - self.sums["too_old"]

    @property
    def per_second(self) -> float:
        """Over as much of it as has passed."""
        seconds = (min(self.end, now()) - self.start).total_seconds()
        return self.n / seconds if seconds > 0 else 0.0

    @property
    def alert_rate(self) -> float | None:
        return self.sums["alerts"] / self.n if self.n else None

    @property
    def precision(self) -> float | None:
        """Of the alerts an analyst called fraud or legitimate."""
        disposed = self.sums["disposed_frauds"] + self.sums["disposed_goods"]
        return self.sums["disposed_frauds"] / disposed if disposed else None

    @property
    def value_detected(self) -> float | None:
        """Of the money of known frauds, the share that raised an alert."""
        known = self.sums["fraud_minor"]
        return self.sums["fraud_alerted_minor"] / known if known else None

    @property
    def censored(self) -> int:
        """Declined, and nobody has said what it was: most often nobody ever will."""
        return self.declined["n"] - self.declined["frauds"] - self.declined["goods"]

    def percentile_ms(self, q: float) -> float | None:
        return percentile_ms(self.latency, q)

    def saved_minor(self, costs: Costs) -> float:
        return (
            costs.decline_saves * self.declined["fraud_minor"]
            + costs.review_saves * self.reviewed["fraud_minor"]
        )


@dataclass(frozen=True, slots=True)
class Period:
    """The last `days`, today among them, by day; or by hour where it is one."""

    days: int

    def buckets(self) -> list[tuple[datetime, datetime]]:
        """Begin and end of each, the oldest first, in the time zone that is active."""
        if self.days == 1:
            last = now().replace(minute=0, second=0, microsecond=0)
            return [(last - n * HOUR, last - (n - 1) * HOUR) for n in range(23, -1, -1)]
        today = timezone.localdate()
        days = [today - timedelta(days=n) for n in range(self.days - 1, -2, -1)]
        begins = [timezone.make_aware(datetime.combine(day, time.min)).astimezone(UTC) for day in days]
        return list(pairwise(begins))


def tallies(site: Site, period: Period) -> list[Tally]:
    """One for each bucket of the period. An hour belongs to the day it begins in."""
    found = {start: Tally(start, end) for start, end in period.buckets()}
    within = {"site": site, "hour__gte": min(found)}
    bucket = F("hour") if period.days == 1 else TruncDay("hour", tzinfo=timezone.get_current_timezone())
    sums = {f"{name}_": Sum(name) for name in COUNTS}
    rows = HourlyCount.objects.filter(**within).annotate(bucket=bucket)
    for start, outcome, mode, *values in (
        rows.values_list("bucket", "outcome", "mode").annotate(**sums).order_by("bucket", "outcome", "mode")
    ):
        if one := found.get(start):
            one.add(outcome, mode, dict(zip(COUNTS, values, strict=True)))
    latencies = HourlyLatency.objects.filter(**within).annotate(bucket=bucket)
    for start, counts in latencies.order_by("hour").values_list("bucket", "counts"):
        if one := found.get(start):
            one.latency.update({int(number): n for number, n in counts.items()})
    return list(found.values())


def whole(of: list[Tally]) -> Tally:
    total = Tally(of[0].start, of[-1].end)
    for one in of:
        for name in ("by_outcome", "by_mode", "sums", "declined", "reviewed", "latency"):
            getattr(total, name).update(getattr(one, name))
    return total


def counted_to() -> datetime | None:
    """When the hour that goes on was counted last; None before the first."""
    newest = CountedHour.objects.exclude(counted_at=None).order_by("-start")
    return newest.values_list("counted_at", flat=True).first()


def costs_at(site: Site) -> Costs:
    """Those the thresholds in service were chosen by, else the usual ones."""
    serving = champion("fraud")
    if serving is not None:
        of_version = OperatingPoint.objects.filter(
            site=site, version__artefact_hash=serving.artefact_hash
        ).order_by("-id")
        if (newest := of_version.first()) and "costs" in newest.asked:
            return Costs(**newest.asked["costs"])
    return Costs()


@dataclass(frozen=True, slots=True)
class Worth:
    """Money of known frauds, with 95 % intervals over days drawn again and again (of one day, over hours)."""

    saved_minor: Estimate
    detected: Estimate  # of the money of known frauds, the share that raised an alert
    fraud_minor: int
    frauds: int


def worth(parts: list[Tally], costs: Costs) -> Worth:
    saved = [one.saved_minor(costs) for one in parts]
    detected = [one.sums["fraud_alerted_minor"] for one in parts]
    fraud = [one.sums["fraud_minor"] for one in parts]
    frauds = sum(one.sums["frauds"] for one in parts)
    return Worth(sum_of(saved), ratio_of(detected, fraud), sum(fraud), frauds)


@dataclass(frozen=True, slots=True)
class Precision:
    """Of the last alerts that an analyst called fraud or legitimate, with Wilson's 95 % interval."""

    frauds: int
    n: int

    @property
    def share(self) -> float | None:
        return self.frauds / self.n if self.n else None

    @property
    def low(self) -> float:
        return wilson_low(self.frauds / self.n, self.n)

    @property
    def high(self) -> float:
        return 1 - wilson_low(1 - self.frauds / self.n, self.n)


def last_dispositions(site: Site) -> Precision:
    """Of each alert the last disposition counts, at once. "Cannot tell" and "duplicate" are not in it, nor is
    what nobody settled."""
    called = last_verdicts().filter(disposition__site=site, disposition__verdict__in=LABELLED)
    verdicts = called.order_by("-disposition_id", "-pk").values_list("disposition__verdict", flat=True)[:LAST]
    calls = [LABELLED[Verdict(verdict)] for verdict in verdicts]
    return Precision(sum(calls), len(calls))


def saved_by_bucket(site: Site, shown: list[Tally], costs: Costs) -> list[Estimate]:
    """Each day's with an interval over its hours; an hour's alone has none."""
    share = {Outcome.DECLINE: costs.decline_saves, Outcome.REVIEW: costs.review_saves}
    rows = HourlyCount.objects.filter(
        site=site, hour__gte=shown[0].start, hour__lt=shown[-1].end, outcome__in=share, frauds__gt=0
    )
    saved: Counter[datetime] = Counter()
    for hour, outcome, minor in rows.order_by("hour").values_list("hour", "outcome", "fraud_minor"):
        saved[hour] += share[outcome] * minor  # type: ignore[index,assignment]
    return [
        sum_of([saved[one.start + n * HOUR] for n in range((one.end - one.start) // HOUR)]) for one in shown
    ]


def as_row(one: Tally, costs: Costs) -> dict[str, Any]:
    """For programs and exports: numbers, unknown ones None."""
    return {
        "start": one.start, "end": one.end, "n": one.n, "per_second": one.per_second,
        **{str(outcome): one.by_outcome[outcome] for outcome in Outcome},
        **{str(mode): one.by_mode[mode] for mode in Mode},
        **{name: one.sums[name] for name in ("deadline_hits", "late", "too_old", "alerts")},
        **{f"p{percent}_ms": one.percentile_ms(percent / 100) for percent in (50, 95, 99)},
        "disposed_frauds": one.sums["disposed_frauds"], "disposed_goods": one.sums["disposed_goods"],
        "frauds": one.sums["frauds"], "fraud_minor": one.sums["fraud_minor"],
        "frauds_alerted": one.sums["frauds_alerted"], "fraud_alerted_minor": one.sums["fraud_alerted_minor"],
        "good_declined": one.declined["goods"], "good_declined_minor": one.declined["good_minor"],
        "declined_unknown": one.censored, "saved_minor": one.saved_minor(costs),
    }  # fmt: skip
