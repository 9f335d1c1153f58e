"""A film version in shadow added up: how often it calls as the version in service, what it would raise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db.models import Count, F, Min, Q, QuerySet
from django.db.models.functions import TruncDate

from apps.accounts.models import Site
from apps.radiology.models import ShadowAnalysis, ShadowFinding, ShadowRun, ShadowState
from apps.radiology.quality.quality import Share
from ml.common.agreement import Agreement, cohen_kappa
from ml.common.metrics import wilson_interval
from ml.radiology.vocabulary import says

FILMS_MAX = 10_000  # the newest; a page adds up no more
DAYS, DRAWN = 30, 1000
DAY_ENOUGH = 5  # calls, below which a day has no share


def in_sight(run: ShadowRun, site: Site) -> QuerySet[ShadowAnalysis]:
    """What the run said of the site's newest FILMS_MAX films, but those that are out of use since."""
    said = ShadowAnalysis.objects.filter(run=run, site=site)
    newest = said.order_by("-analysis").values_list("analysis", flat=True)
    used = said.filter(analysis__instance__rejected_by=None, analysis__instance__study__withdrawn=False)
    oldest = list(newest[FILMS_MAX - 1 : FILMS_MAX])
    return used.filter(analysis__gte=oldest[0]) if oldest else used


def share(hits: int, n: int) -> Share:
    return Share(n, hits / n, *wilson_interval(hits / n, n)) if n else Share(0)


@dataclass(frozen=True, slots=True)
class Unscored:
    state: str
    reason: str
    n: int


def unscored_of(films: QuerySet[ShadowAnalysis]) -> list[Unscored]:
    """Why films have no score, the most frequent first."""
    rows = films.exclude(state=ShadowState.SCORED).order_by().values("state", "reason")
    counted = rows.annotate(n=Count("pk")).order_by("-n", "state", "reason")
    return [Unscored(ShadowState(row["state"]).label, row["reason"], row["n"]) for row in counted]


def called_by_both(films: QuerySet[ShadowAnalysis]) -> QuerySet[ShadowFinding]:
    """Findings that both versions know and have an operating point for."""
    said = ShadowFinding.objects.filter(shadow__in=films)
    return said.filter(operating_point__isnull=False, beside__operating_point__isnull=False)


@dataclass(frozen=True, slots=True)
class Row:
    """Films by what is called of one finding."""

    label: str
    both: int
    was_only: int
    would_only: int
    neither: int

    @property
    def says(self) -> str:
        return says(self.label)

    @property
    def n(self) -> int:
        return self.both + self.was_only + self.would_only + self.neither

    @property
    def differ(self) -> int:
        return self.was_only + self.would_only

    @property
    def same(self) -> Share:
        return share(self.both + self.neither, self.n)

    @property
    def kappa(self) -> Agreement:
        return cohen_kappa(self.both, self.was_only, self.would_only, self.neither)


def rows_by_finding(films: QuerySet[ShadowAnalysis]) -> list[Row]:
    """In the order of their words."""
    said = called_by_both(films).order_by().values_list("label", "beside__positive", "positive")
    cells = {(label, was, would): n for label, was, would, n in said.annotate(n=Count("pk"))}
    labels = sorted({label for label, _, _ in cells}, key=says)
    pairs = ((True, True), (True, False), (False, True), (False, False))
    return [Row(label, *(cells.get((label, *pair), 0) for pair in pairs)) for label in labels]


def most_differing(rows: list[Row]) -> str:
    """The finding to show where none is asked for."""
    return max(rows, key=lambda row: row.differ).label if rows else ""


@dataclass(frozen=True, slots=True)
class Seen:
    """A study, by the films of it that both versions were put to."""

    study: int
    day: date
    was_raised: bool
    raised: bool


def studies_of(films: QuerySet[ShadowAnalysis]) -> list[Seen]:
    """The newest first. A film that is not its to judge raises nothing; one it could not be put to is left
    out."""
    put = films.exclude(state=ShadowState.FAILED).order_by().values("analysis__instance__study")
    rows = put.annotate(
        day=Min(TruncDate("analysis__at")),
        was=Count("pk", filter=Q(was_raised=True)),
        would=Count("pk", filter=Q(raised=True)),
    ).order_by("-analysis__instance__study")
    return [
        Seen(row["analysis__instance__study"], row["day"], row["was"] > 0, row["would"] > 0) for row in rows
    ]


@dataclass(frozen=True, slots=True)
class Raised:
    """Of studies: raised by both, by the version in service alone, by the one in shadow alone, by neither."""

    n: int
    both: int
    was_only: int
    would_only: int

    @property
    def was(self) -> int:
        return self.both + self.was_only

    @property
    def would(self) -> int:
        return self.both + self.would_only


def raised_of(studies: list[Seen]) -> Raised:
    pairs = [(one.was_raised, one.raised) for one in studies]
    return Raised(
        len(pairs), pairs.count((True, True)), pairs.count((True, False)), pairs.count((False, True))
    )


def chart_of(name: str, films: QuerySet[ShadowAnalysis] | None, finding: str) -> dict[str, Any]:
    """As the chart component has it; KeyError for a name that is not in CHARTS."""
    return CHARTS[name](films, finding)


def _scores(films: QuerySet[ShadowAnalysis] | None, finding: str) -> dict[str, Any]:
    """Each of the newest films as a point: what the version in service gave, and the one in shadow."""
    pairs = [] if films is None else _pairs(films, finding)
    points: dict[str, list[tuple[float, float]]] = {"called alike": [], "called otherwise": []}
    for was, would, same, *_ in pairs:
        points["called alike" if same else "called otherwise"].append((round(was, 4), round(would, 4)))
    lines = [
        {"name": "operating point", "axis": axis, "value": pairs[0][place]}
        for axis, place in (("x", 3), ("y", 4))
        if pairs
    ]
    return {
        "x": {"name": "probability in service", "min": 0, "max": 1},
        "y": {"name": "probability in shadow", "min": 0, "max": 1},
        "series": [{"name": name, "points": held, "dots": True} for name, held in points.items() if held],
        "lines": lines,
        "done": True,
    }


def _pairs(films: QuerySet[ShadowAnalysis], finding: str) -> list[tuple[float, float, bool, float, float]]:
    said = called_by_both(films).filter(label=finding).order_by("-shadow__analysis")
    rows = said.values_list(
        "beside__probability", "probability", "beside__positive", "positive", "beside__operating_point",
        "operating_point",
    )  # fmt: skip
    return [
        (float(was or 0), would, a == b, float(x or 0), float(y or 0))
        for was, would, a, b, x, y in rows[:DRAWN]
    ]


def _agreement(films: QuerySet[ShadowAnalysis] | None, finding: str) -> dict[str, Any]:
    """By day the share of the finding's calls that are the same, with its 95 % interval."""
    by_day = {} if films is None else _shares(films, finding)
    points = [(day.isoformat(), round(one.value, 4)) for day, one in by_day.items()]
    band = [(day.isoformat(), round(one.low, 4), round(one.high, 4)) for day, one in by_day.items()]
    return {
        "x": {"name": "day"},
        "y": {"name": "films called alike", "min": 0, "max": 1},
        "series": [{"name": says(finding), "points": points, "band": band}] if points else [],
        "done": False,
    }


def _shares(films: QuerySet[ShadowAnalysis], finding: str) -> dict[date, Share]:
    said = called_by_both(films).filter(label=finding).annotate(day=TruncDate("shadow__analysis__at"))
    counted = said.order_by("-day").values("day").annotate(
        n=Count("pk"), same=Count("pk", filter=Q(positive=F("beside__positive")))
    )  # fmt: skip
    days = [row for row in counted[:DAYS] if row["n"] >= DAY_ENOUGH]
    return {row["day"]: share(row["same"], row["n"]) for row in reversed(days)}


def _raised(films: QuerySet[ShadowAnalysis] | None, finding: str) -> dict[str, Any]:
    """Studies by the day on which the first of their films was analysed, whatever the finding."""
    by_day: dict[date, list[Seen]] = {}
    for one in [] if films is None else studies_of(films):
        by_day.setdefault(one.day, []).append(one)
    counted = {day.isoformat(): raised_of(by_day[day]) for day in sorted(by_day)[-DAYS:]}
    series = [
        {"name": "raised", "points": [(day, one.was) for day, one in counted.items()]},
        {"name": "would have been", "points": [(day, one.would) for day, one in counted.items()]},
    ]
    return {
        "x": {"name": "day"},
        "y": {"name": "studies raised", "unit": "a day", "min": 0},
        "series": series if counted else [],
        "done": False,
    }


Draw = Callable[[QuerySet[ShadowAnalysis] | None, str], dict[str, Any]]
CHARTS: dict[str, Draw] = {"scores": _scores, "agreement": _agreement, "raised": _raised}
