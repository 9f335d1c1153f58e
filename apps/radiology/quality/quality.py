"""How good the model is here: its calls beside what readers here said, added up in SQL over `Comparison`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, F, FloatField, Max, Q, QuerySet, Sum, Value
from django.db.models.functions import Floor, Least

from apps.accounts.models import Site
from apps.core.clock import now
from apps.modelops.models import ModelVersion
from apps.radiology.models import Comparison, Draw, Purpose
from ml.common.metrics import wilson_low
from ml.radiology.vocabulary import says

ENOUGH = 20  # cases below which no share is given
BIN_ENOUGH = 8
BINS = 10
ALL, BLIND, SAMPLE, SETTLED = "", "blind", "sample", "settled"
NOT_GIVEN = "not given"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the page is narrowed to. `days` 0: since ever. `version` is a key, None for none in sight."""

    basis: str = ALL
    days: int = 90
    finding: str = ""
    version: int | None = None

    @property
    def since(self) -> datetime | None:
        return now() - timedelta(days=self.days) if self.days else None


@dataclass(frozen=True, slots=True)
class Share:
    """Of `n` cases; with its 95 % interval (Wilson), which takes studies of one patient for independent."""

    n: int
    value: float = 0.0
    low: float = 0.0
    high: float = 1.0

    @property
    def enough(self) -> bool:
        return self.n >= ENOUGH

    @property
    def span(self) -> float:
        return self.high - self.low


@dataclass(frozen=True, slots=True)
class Row:
    """One finding or one group. `expected` is the mean probability, to be set beside the share `found`."""

    key: str
    title: str
    n: int
    adjudicated: int
    sensitivity: Share
    specificity: Share
    ppv: Share
    found: Share
    expected: float


@dataclass(slots=True)
class _Sum:
    """Cases, how many they stand for, the sum of squared weights (which says how much they tell)."""

    n: int = 0
    weight: float = 0.0
    squares: float = 0.0
    probability: float = 0.0
    adjudicated: int = 0

    def add(self, cell: Mapping[str, Any]) -> None:
        self.n += cell["n"]
        self.weight += cell["weights"]
        self.squares += cell["squares"]
        self.probability += cell["probabilities"]
        self.adjudicated += cell["settled"]


def share_of(hits: _Sum, among: _Sum) -> Share:
    if not among.weight:
        return Share(among.n)
    value = min(1.0, hits.weight / among.weight)
    tells = among.weight**2 / among.squares
    return Share(among.n, value, wilson_low(value, tells), 1 - wilson_low(1 - value, tells))


def compared(site: Site, asked: Asked, *, every_version: bool = False) -> QuerySet[Comparison]:
    """The rows that are asked for, of any finding."""
    rows = Comparison.objects.filter(site=site, **{f"{_truth(asked)}__isnull": False})
    if not every_version:
        rows = rows.filter(version=asked.version)
    if asked.since:
        rows = rows.filter(read_at__gte=asked.since)
    if asked.basis == SAMPLE:
        rows = rows.filter(weight__isnull=False)
    return rows.filter(adjudicated=True) if asked.basis == SETTLED else rows


def rows_by(by: str, rows: QuerySet[Comparison], asked: Asked) -> list[Row]:
    """`by` a field of `Comparison`; the groups in the order of their names, what was not given last."""
    groups: dict[Any, dict[tuple[bool | None, bool], _Sum]] = {}
    truth = _truth(asked)
    cells = rows.order_by().values(by, truth, "called").annotate(**_sums(asked))
    for cell in cells:
        sums = groups.setdefault(cell[by], {})
        sums.setdefault((cell["called"], cell[truth]), _Sum()).add(cell)
    return [_row(key, groups[key]) for key in sorted(groups, key=lambda key: (key == "", _place(key)))]


def _row(key: Any, sums: Mapping[tuple[bool | None, bool], _Sum]) -> Row:
    def total(called: Iterable[bool | None], present: Iterable[bool]) -> _Sum:
        found = _Sum()
        for cell in (sums[pair] for pair in sums if pair[0] in called and pair[1] in present):
            found = _Sum(
                found.n + cell.n, found.weight + cell.weight, found.squares + cell.squares,
                found.probability + cell.probability, found.adjudicated + cell.adjudicated,
            )  # fmt: skip
        return found

    both, either = (True, False), (True, False, None)
    everything = total(either, both)
    return Row(
        key=str(key), title=str(key) or NOT_GIVEN, n=everything.n, adjudicated=everything.adjudicated,
        sensitivity=share_of(total([True], [True]), total(both, [True])),
        specificity=share_of(total([False], [False]), total(both, [False])),
        ppv=share_of(total([True], [True]), total([True], both)),
        found=share_of(total(either, [True]), everything),
        expected=everything.probability / everything.weight if everything.weight else 0.0,
    )  # fmt: skip


def reliability(rows: QuerySet[Comparison], asked: Asked) -> dict[str, Any]:
    """The chart component's JSON: the share found in each tenth of the probability, if cases suffice."""
    truth = _truth(asked)
    tenth = Least(Floor(F("probability") * BINS), Value(float(BINS - 1)), output_field=FloatField())
    cells = rows.order_by().annotate(tenth=tenth).values("tenth", truth).annotate(**_sums(asked))
    bins: dict[float, dict[bool, _Sum]] = {}
    for cell in cells:
        bins.setdefault(cell["tenth"], {True: _Sum(), False: _Sum()})[cell[truth]].add(cell)
    points, band = [], []
    for tenth_of in sorted(bins):
        one = _row("", {(None, present): held for present, held in bins[tenth_of].items()})
        if one.n >= BIN_ENOUGH:
            x = round(one.expected, 3)
            points.append([x, round(one.found.value, 4)])
            band.append([x, round(one.found.low, 4), round(one.found.high, 4)])
    series: list[dict[str, Any]] = []
    if points:
        series = [
            {"name": says(asked.finding), "points": points, "band": band},
            {"name": "as it should be", "points": [[0, 0], [1, 1]], "dashed": True},
        ]
    return {
        "x": {"name": "probability the model gave", "min": 0, "max": 1},
        "y": {"name": "share that readers found", "min": 0, "max": 1},
        "series": series,
        "done": True,
    }


def versions_at(site: Site) -> list[ModelVersion]:
    """Those with something to compare, the newest first."""
    seen = Comparison.objects.filter(site=site).order_by().values("version").distinct()
    return list(ModelVersion.objects.filter(pk__in=seen).order_by("-number"))


def findings_at(site: Site) -> list[str]:
    """The labels with something to compare, in the order of their words."""
    seen = Comparison.objects.filter(site=site).order_by().values_list("label", flat=True).distinct()
    return sorted(seen, key=says)


def sample_at(site: Site, asked: Asked) -> tuple[int, int]:
    """(studies drawn of those the model did not raise, how many of them have a read that counts)."""
    drawn = Draw.objects.filter(
        study__site=site, study__raised=False, study__withdrawn=False, purpose=Purpose.SAMPLE,
        value__lt=F("probability"),
    )  # fmt: skip
    if asked.since:
        drawn = drawn.filter(at__gte=asked.since)
    told = drawn.aggregate(
        drawn=Count("pk", distinct=True), read=Count("pk", distinct=True, filter=Q(study__comparisons__gt=0))
    )
    return told["drawn"], told["read"]


def counted_to(site: Site) -> datetime | None:
    """When the last read that is in the figures was committed."""
    last: datetime | None = Comparison.objects.filter(site=site).aggregate(at=Max("read_at"))["at"]
    return last


def _truth(asked: Asked) -> str:
    return "blind" if asked.basis == BLIND else "present"


def _sums(asked: Asked) -> dict[str, Any]:
    one = F("weight") if asked.basis == SAMPLE else Value(1.0, output_field=FloatField())
    return {
        "n": Count("pk"),
        "weights": Sum(one),
        "squares": Sum(one * one),
        "probabilities": Sum(one * F("probability")),
        "settled": Count("pk", filter=Q(adjudicated=True)),
    }


def _place(key: Any) -> tuple[float, str]:
    """Age bands in the order of the ages, the rest by name."""
    first = str(key).split(" ")[0]
    return (float(first), "") if first.isdigit() else (0.0, str(key))
