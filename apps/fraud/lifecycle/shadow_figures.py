"""A version in shadow as its page shows it: tables, and charts as the chart component has them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from apps.accounts.models import Site
from apps.fraud.lifecycle.shadow import Agreement, agreement_by_day, pairs_of, said_of
from apps.fraud.models import Decision, Outcome, ShadowRun, ShadowScore

DRAWN = 1000  # points of the chart
SAYS = {
    Outcome.APPROVE: "approved", Outcome.REVIEW: "reviewed", Outcome.DECLINE: "declined",
}  # fmt: skip
VERDICTS = {
    Outcome.DECLINE: "high enough to decline",
    Outcome.REVIEW: "high enough for a review",
    Outcome.APPROVE: "too low for a review",
}


@dataclass(frozen=True, slots=True)
class Cell:
    n: int
    same: bool


@dataclass(frozen=True, slots=True)
class Row:
    """Of what was decided so: how many would have been approved, reviewed, declined."""

    was: str
    cells: list[Cell]


def table_of(found: Agreement) -> list[Row]:
    return [
        Row(SAYS[was], [Cell(found.cells[was, would], was == would) for would in Outcome]) for was in Outcome
    ]


@dataclass(frozen=True, slots=True)
class Day:
    day: str
    found: Agreement


def days_of(run: ShadowRun, site: Site) -> list[Day]:
    """The newest first."""
    return [Day(f"{day:%Y-%m-%d}", one) for day, one in reversed(agreement_by_day(run, site).items())]


def said_context(made: Decision) -> dict[str, Any]:
    """What the alert page says of it; empty where no version in shadow saw this decision."""
    said = said_of(made)
    if said is None:
        return {}
    by_score = Outcome(said.by_score) if said.by_score else None
    return {
        "challenger": said,
        "challenger_says": _would_be(made, said),
        "challenger_verdict": VERDICTS[by_score] if by_score else "",
        "challenger_suspects": by_score in (Outcome.REVIEW, Outcome.DECLINE),
    }


def _would_be(made: Decision, said: ShadowScore) -> str:
    would, was = SAYS[Outcome(said.would_be)], SAYS[Outcome(made.outcome)]
    return f"It would have been {would} too." if would == was else f"It would have been {would}, not {was}."


def chart_of(name: str, run: ShadowRun | None, site: Site) -> dict[str, Any]:
    """KeyError for a name that is not in CHARTS."""
    return CHARTS[name](run, site)


def _scores(run: ShadowRun | None, site: Site) -> dict[str, Any]:
    """Each of the latest decisions as a point: the score it was made on, and the one in shadow."""
    pairs = pairs_of(run, site)[:DRAWN] if run else []
    points = {
        name: [(round(ours, 4), round(theirs, 4)) for ours, theirs, same in pairs if same == wanted]
        for name, wanted in (("same decision", True), ("another decision", False))
    }
    return {
        "x": {"name": "score decided on", "min": 0, "max": 1},
        "y": {"name": "score in shadow", "min": 0, "max": 1},
        "series": [{"name": name, "points": found, "dots": True} for name, found in points.items() if found],
        "lines": _limits(run, site) if pairs and run else [],
        "done": True,
    }


def _limits(run: ShadowRun, site: Site) -> list[dict[str, Any]]:
    """Where each of the two wanted a person, of the latest decision that has both."""
    said = ShadowScore.objects.filter(run=run, site=site, decision__review_threshold__isnull=False)
    last = said.select_related("decision").order_by("-decision").first()
    if last is None:
        return []
    return [
        {"name": "review", "axis": "x", "value": last.decision.review_threshold},
        {"name": "review in shadow", "axis": "y", "value": last.review_threshold},
    ]


def _alerts(run: ShadowRun | None, site: Site) -> dict[str, Any]:
    by_day = agreement_by_day(run, site) if run else {}
    counted: dict[str, Callable[[Agreement], int]] = {
        "alerts": lambda one: one.alerts,
        "would have been": lambda one: one.would_be_alerts,
    }
    series = [
        {"name": name, "points": [(day.isoformat(), of(one)) for day, one in by_day.items()]}
        for name, of in counted.items()
    ]
    return {
        "x": {"name": "day"},
        "y": {"name": "alerts of what was scored", "unit": "a day", "min": 0},
        "series": series if by_day else [],
        "done": False,
    }


CHARTS: dict[str, Callable[[ShadowRun | None, Site], dict[str, Any]]] = {
    "scores": _scores, "alerts": _alerts,
}  # fmt: skip
