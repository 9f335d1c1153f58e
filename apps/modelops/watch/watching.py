"""What the watch page shows: the last look at each measure, what it is held to, its course, the alarms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count
from django.utils import timezone

from apps.accounts.models import Site
from apps.core.clock import now
from apps.modelops.common.watched import Measure, held_to
from apps.modelops.models import Alarm, ModelVersion, WatchReading
from apps.modelops.registry import Domain, load
from apps.modelops.versions.cards import curves_of_version
from apps.modelops.versions.curve_charts import draw_curves
from apps.modelops.watch.services.watch import limits_of
from ml.common.curves import BINS
from ml.common.metrics import wilson_interval

SHOWN = timedelta(days=30)
CLOSED_SHOWN = 10
RELIABILITY = "reliability"


@dataclass(frozen=True, slots=True)
class Line:
    """One measure as the table has it; texts are empty where there is nothing."""

    measure: Measure
    value: str
    interval: str
    reference: str
    bound: str
    says: str
    is_beyond: bool
    is_held: bool


def last_look(site: Site, domain: Domain, version: ModelVersion) -> list[WatchReading]:
    """All that was read of the version at the last look; empty before the first."""
    readings = WatchReading.objects.filter(site=site, domain=domain.name, version=version)
    last = readings.order_by("-at").values_list("at", flat=True).first()
    return list(readings.filter(at=last).order_by("measure")) if last else []


def lines_of(site: Site, domain: Domain, readings: list[WatchReading], alarms: list[Alarm]) -> list[Line]:
    limits, read = limits_of(site, domain), {one.measure: one for one in readings}
    beyond = {one.measure for one in alarms if one.is_open}
    return [
        _line(measure, read[measure.name], limits[measure.name], measure.name in beyond)
        for measure in domain.measures
        if measure.name in read
    ]


def alarms_of(site: Site, domain: Domain) -> list[Alarm]:
    """Those that are open, then the last that closed."""
    found = Alarm.objects.filter(site=site, domain=domain.name).select_related("acknowledged_by", "version")
    is_open = list(found.filter(closed_at=None).order_by("-opened_at", "-pk"))
    return is_open + list(found.exclude(closed_at=None).order_by("-closed_at", "-pk")[:CLOSED_SHOWN])


def drawable(site: Site, domain: Domain) -> list[Measure]:
    """Measures with two values at least in the time that is drawn, in their order."""
    readings = WatchReading.objects.filter(
        site=site, domain=domain.name, hour__gte=now() - SHOWN, value__isnull=False
    )
    told = readings.order_by("measure").values_list("measure").annotate(n=Count("pk"))
    names = {name for name, n in told if n > 1}
    return [one for one in domain.measures if one.name in names]


def course_of(site: Site, domain: Domain, measure: Measure) -> dict[str, Any]:
    """The chart component's JSON: the value with its interval, and what it is held to today."""
    readings = WatchReading.objects.filter(
        site=site, domain=domain.name, measure=measure.name, hour__gte=now() - SHOWN, value__isnull=False
    )
    told = list(readings.order_by("hour"))
    by = measure.factor
    series: list[dict[str, Any]] = [{
        "name": "here",
        "points": [[_local(one.at), _rounded(one.value, by)] for one in told],
        "band": [
            [_local(one.at), _rounded(one.low, by), _rounded(one.high, by)]
            for one in told
            if one.low is not None and one.high is not None
        ],
    }]  # fmt: skip
    limit = limits_of(site, domain)[measure.name]
    bounds = [(one.at, None if limit is None else held_to(measure, limit, one.reference)) for one in told]
    for name, points, more in (
        ("limit", bounds, {"dashed": True}),
        ("its test", [(one.at, one.reference) for one in told], {"light": True}),
    ):
        drawn = [[_local(at), _rounded(value, by)] for at, value in points if value is not None]
        if drawn:
            series.append({"name": name, "points": drawn, **more})
    return {
        "x": {"name": "time"}, "y": {"name": measure.title, "unit": measure.sign},
        "series": series if told else [], "done": True,
    }  # fmt: skip


def reliability_of(site: Site, domain: Domain, version: ModelVersion) -> dict[str, Any]:
    """The chart component's JSON: what is known here, and what the version's own test part showed."""
    here = load(domain.reliability)(site, version)
    known = [("here", here), ("its test", pooled(curves_of_version(version)))]
    drawn = draw_curves(RELIABILITY, [(name, {"reliability": bins}) for name, bins in known if bins])
    return drawn if here else drawn | {"series": []}


def pooled(curves: Mapping[str, Any]) -> list[list[float]]:
    """The reliability bins of all findings as one list of BINS at most, of about as many cases each."""
    bins = sorted(row for one in curves.values() for row in one["reliability"])
    total, seen = sum(row[-1] for row in bins), 0.0
    groups: dict[int, list[list[float]]] = {}
    for row in bins:
        groups.setdefault(int(BINS * seen / total), []).append(row)
        seen += row[-1]
    found = []
    for rows in groups.values():
        n = sum(row[-1] for row in rows)
        said, share = (sum(row[i] * row[-1] for row in rows) / n for i in (0, 1))
        found.append([said, share, *wilson_interval(share, n), n])
    return found


def _line(measure: Measure, one: WatchReading, limit: float | None, beyond: bool) -> Line:
    bound = None if limit is None else held_to(measure, limit, one.reference)

    def say(value: float | None) -> str:
        return "" if value is None else measure.say(value)

    return Line(
        measure, say(one.value),
        f"{say(one.low)} to {say(one.high)}" if one.low is not None and one.high is not None else "",
        say(one.reference), f"{measure.worse} {say(bound)}" if bound is not None else "", one.says, beyond,
        bound is not None and one.value is not None,
    )  # fmt: skip


def _local(at: datetime) -> str:
    return timezone.localtime(at).isoformat()


def _rounded(value: float | None, by: float) -> float | None:
    return None if value is None else float(f"{by * value:.5g}")
