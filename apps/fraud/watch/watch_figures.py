"""The overview's numbers as people read them: its table, its charts, and what is behind each point."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import Site
from apps.core.words import counted
from apps.fraud.common.money import REPORTING_CURRENCY, format_minor
from apps.fraud.models import Mode, Outcome
from apps.fraud.watch.drift import ENOUGH, limits_of, score_by_hour
from apps.fraud.watch.watch import Period, Precision, Tally, Worth, costs_at, saved_by_bucket, tallies
from apps.modelops.common.selectors import champion
from ml.fraud.drift import psi
from ml.fraud.operating import Estimate


@dataclass(frozen=True, slots=True)
class Line:
    """One figure: what it is, its value and interval, and what it rests on."""

    title: str
    value: str
    interval: str = ""
    rests_on: str = ""
    href: str = ""


def lines_of(total: Tally, precision: Precision, money: Worth) -> list[Line]:
    sums, declined = total.sums, total.declined
    behind = _linker(total.start, total.end)
    known = declined["frauds"] + declined["goods"]
    unknown = _share(total.censored / declined["n"] if declined["n"] else None)
    alerts = f"{counted(sums['alerts'], 'alert')} of {counted(total.n, 'decision')}"
    calls = f"{sums['disposed_goods']:,} legitimate, {sums['disposed_frauds']:,} fraud, by analysts"
    late = f"came over 10 minutes after they happened; {sums['too_old']:,} too old for the history"
    return [
        Line("Alert rate", _share(total.alert_rate), "", alerts),
        _precision(precision),
        Line(
            "False positives for each fraud found",
            _ratio(sums["disposed_goods"], sums["disposed_frauds"]), "", calls,
        ),
        Line(
            "Payments of good customers declined", f"{declined['goods']:,}", "",
            f"{_money(declined['good_minor'])}; known of {known:,} of {counted(declined['n'], 'decline')}",
            behind(outcome=Outcome.DECLINE, known="legitimate"),
        ),
        Line(
            "Declined, and unknown what it was", unknown, "",
            f"{total.censored:,} of {counted(declined['n'], 'decline')}: in no other figure here",
            behind(outcome=Outcome.DECLINE, known="unknown"),
        ),
        Line(
            "Value detection rate", *_estimate(money.detected, _share),
            f"of {_money(money.fraud_minor)} known fraud, {counted(money.frauds, 'payment')}",
            behind(known="fraud"),
        ),
        Line(
            "Money saved", *_estimate(money.saved_minor, _money),
            "frauds declined, and those stopped by a review",
        ),
        Line("Late events", f"{sums['late']:,}", "", late),
    ]  # fmt: skip


def _precision(of: Precision) -> Line:
    title = "Precision of the last dispositions"
    if of.share is None:
        return Line(title, "not known", "", "No alert was called fraud or legitimate yet.")
    rests_on = f"{of.frauds:,} fraud of {of.n:,}; what could not be told is left out"
    return Line(title, _share(of.share), f"{of.low:.1%} to {of.high:.1%}", rests_on)


def _share(value: float | None) -> str:
    return "not known" if value is None else f"{value:.2%}" if 0 < value < 0.01 else f"{value:.1%}"


def _money(value: float) -> str:
    return format_minor(round(value), REPORTING_CURRENCY)


def _ratio(over: int, under: int) -> str:
    return f"{over / under:.1f}" if under else "not known"


def _estimate(one: Estimate, say: Callable[[float], str]) -> tuple[str, str]:
    if one.value is None:
        return "not known", ""
    interval = "" if one.low is None or one.high is None else f"{say(one.low)} to {say(one.high)}"
    return say(one.value), interval


def _linker(start: datetime, end: datetime) -> Callable[..., str]:
    def link(**narrowed: str) -> str:
        times = {"since": start.isoformat(), "until": end.isoformat()}
        return f"{reverse('fraud:watch_events')}?{urlencode({**times, **narrowed})}"

    return link


@dataclass(frozen=True, slots=True)
class Row:
    """One bucket of the table, with the addresses of what is behind its cells."""

    tally: Tally
    saved: str
    href: str
    reviewed_href: str
    declined_href: str
    degraded: bool
    degraded_href: str
    good_href: str
    unknown_href: str


def rows_of(site: Site, shown: list[Tally]) -> list[Row]:
    """The newest first; those without a decision are left out."""
    costs = costs_at(site)
    return [_row(one, _money(one.saved_minor(costs))) for one in reversed(shown) if one.n]


def _row(one: Tally, saved: str) -> Row:
    to = _linker(one.start, one.end)
    worst = Mode.RULES_ONLY if one.by_mode[Mode.RULES_ONLY] else Mode.NO_STATE
    return Row(
        tally=one, saved=saved, href=to(), reviewed_href=to(outcome=Outcome.REVIEW),
        declined_href=to(outcome=Outcome.DECLINE), degraded=one.degraded > 0, degraded_href=to(mode=worst),
        good_href=to(outcome=Outcome.DECLINE, known="legitimate"),
        unknown_href=to(outcome=Outcome.DECLINE, known="unknown"),
    )  # fmt: skip


# --- charts: the chart component's JSON (docs/design-system.md) -------------------------------------


def chart_of(name: str, site: Site, period: Period) -> dict[str, Any]:
    """KeyError for a name that is not in CHARTS."""
    return CHARTS[name](site, period)


def _drawn(
    period: Period, y: dict[str, Any], series: list[dict[str, Any]], lines: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    anything = any(value for one in series for _, value in one["points"])
    x = {"name": "hour" if period.days == 1 else "day"}
    return {"x": x, "y": y, "series": series if anything else [], "lines": lines or [], "done": False}


def _series(
    name: str, shown: list[Tally], of: Callable[[Tally], float | None], **narrowed: str
) -> dict[str, Any]:
    return {
        "name": name,
        "points": [[_local(one.start), of(one)] for one in shown],
        "links": [_linker(one.start, one.end)(**narrowed) for one in shown],
    }


def _local(at: datetime) -> str:
    return timezone.localtime(at).isoformat()


def _volume(site: Site, period: Period) -> dict[str, Any]:
    shown = tallies(site, period)
    return _drawn(
        period, {"name": "decided", "unit": "events/s", "min": 0},
        [_series("decided", shown, lambda one: round(one.per_second, 6))],
    )  # fmt: skip


def _kinds(site: Site, period: Period) -> dict[str, Any]:
    shown = tallies(site, period)
    series = [
        _series("reviewed", shown, _percent("by_outcome", Outcome.REVIEW), outcome=Outcome.REVIEW),
        _series("declined", shown, _percent("by_outcome", Outcome.DECLINE), outcome=Outcome.DECLINE),
    ]
    for name, mode in (("no history", Mode.NO_STATE), ("rules alone", Mode.RULES_ONLY)):
        if any(one.by_mode[mode] for one in shown):
            series.append({**_series(name, shown, _percent("by_mode", mode), mode=mode), "dashed": True})
    return _drawn(period, {"name": "of all decisions", "unit": "%", "min": 0}, series)


def _percent(by: str, kind: str) -> Callable[[Tally], float | None]:
    return lambda one: round(100 * getattr(one, by)[kind] / one.n, 3) if one.n else None


def _latency(site: Site, period: Period) -> dict[str, Any]:
    shown = tallies(site, period)
    quantiles = {"median": 0.5, "95th": 0.95, "99th": 0.99}
    series = [_series(name, shown, _quantile(q)) for name, q in quantiles.items()]
    return _drawn(period, {"name": "receipt to decision", "unit": "ms", "log": True}, series)


def _quantile(q: float) -> Callable[[Tally], float | None]:
    return lambda one: one.percentile_ms(q)


def _saved(site: Site, period: Period) -> dict[str, Any]:
    shown = tallies(site, period)
    worth = [
        (_local(one.start), found)
        for one, found in zip(shown, saved_by_bucket(site, shown, costs_at(site)), strict=True)
        if one.n
    ]
    links = [_linker(one.start, one.end)(known="fraud") for one in shown if one.n]
    band = [[x, e.low / 100, e.high / 100] for x, e in worth if e.low is not None and e.high is not None]
    points = [[x, (e.value or 0.0) / 100] for x, e in worth]
    series = [{"name": "saved", "points": points, "band": band, "links": links}]
    return _drawn(period, {"name": "money saved", "unit": REPORTING_CURRENCY, "min": 0}, series)


def _precision_of_days(site: Site, period: Period) -> dict[str, Any]:
    shown = tallies(site, period)
    series = [
        _series("precision", shown, lambda one: None if one.precision is None else round(one.precision, 4)),
        _series(
            "detected", shown,
            lambda one: one.value_detected,
            known="fraud",
        ),
    ]  # fmt: skip
    return _drawn(period, {"name": "share", "min": 0, "max": 1}, series)


def _drift(site: Site, period: Period) -> dict[str, Any]:
    """The score's index of each bucket with enough payments, and what it stays below without drift."""
    y = {"name": "PSI of the score", "min": 0}
    buckets = period.buckets()
    reference, hours = score_by_hour(site, buckets[0][0])
    serving = champion("fraud")
    if reference is None or serving is None:
        return _drawn(period, y, [])
    then = reference.counts.sum(0)[-1]
    points, limits, links = [], [], []
    for start, end in buckets:
        counts = sum((one for hour, one in hours if start <= hour < end), then * 0)
        if (n := int(counts.sum())) >= ENOUGH:
            points.append([_local(start), round(float(psi(then, counts)), 4)])
            limits.append([_local(start), round(float(limits_of(serving.artefact_hash, n)[-1]), 4)])
            links.append(_linker(start, end)())
    series = [{"name": "score", "points": points, "links": links}]
    return _drawn(period, y, [*series, {"name": "without drift", "points": limits, "dashed": True}])


CHARTS: dict[str, Callable[[Site, Period], dict[str, Any]]] = {
    "volume": _volume,
    "kinds": _kinds,
    "latency": _latency,
    "found": _precision_of_days,
    "saved": _saved,
    "drift": _drift,
}
