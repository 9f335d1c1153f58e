"""What a film version in shadow would have changed: studies on the worklist, calls of single films. For who
may not open a study: no patient, no picture, nothing that leads to either."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db.models import F, QuerySet

from apps.accounts.models import Site
from apps.radiology.lifecycle.shadow_figures import Seen, called_by_both
from apps.radiology.models import (
    SIGNED,
    TO_READ,
    Priority,
    ShadowAnalysis,
    ShadowFinding,
    Study,
)
from apps.radiology.models.orders import RAISED_START

SHOWN_MAX = 10
LINE_MAX = 5000  # places beyond are not told


@dataclass(frozen=True, slots=True)
class Moved:
    """A study that one of the two versions alone raises. Of one still to be read `place` is where it stands,
    from 1, and `would_be` where it would; both None of others. `was` and `would`: what each calls."""

    name: str
    received_at: datetime
    priority: str
    earlier: bool
    was: list[str]
    would: list[str]
    place: int | None = None
    would_be: int | None = None


def moved_studies(site: Site, studies: Collection[Seen], films: QuerySet[ShadowAnalysis]) -> list[Moved]:
    """The newest SHOWN_MAX of those."""
    differing = [one for one in studies if one.was_raised != one.raised][:SHOWN_MAX]
    found = Study.objects.in_bulk([one.study for one in differing])
    was, would = _called(films, found)
    line = _line(site) if found else []
    return [
        _moved(found[one.study], one, was[one.study], would[one.study], line)
        for one in differing
        if one.study in found
    ]


def _moved(study: Study, seen: Seen, was: list[str], would: list[str], line: list[datetime]) -> Moved:
    earlier, place, would_be = seen.raised, None, None
    stands = study.rank_at in line and study.read_state not in SIGNED and study.raised == seen.was_raised
    if stands:
        others = [rank for rank in line if rank != study.rank_at]
        there = study.rank_at - RAISED_START if earlier else study.rank_at + RAISED_START
        place, would_be = bisect_left(line, study.rank_at) + 1, bisect_left(others, there) + 1
    return Moved(
        str(study.public_id)[:8], study.received_at, Priority(study.priority).label, earlier, was, would,
        place, would_be,
    )  # fmt: skip


def _line(site: Site) -> list[datetime]:
    """When what is to be read ranks, the first first."""
    waiting = Study.objects.filter(TO_READ, site=site).order_by("rank_at", "pk")
    return list(waiting.values_list("rank_at", flat=True)[:LINE_MAX])


def _called(
    films: QuerySet[ShadowAnalysis], studies: Collection[int]
) -> tuple[dict[int, list[str]], dict[int, list[str]]]:
    """By study the labels that the version in service calls, and those that the one in shadow does."""
    was: dict[int, list[str]] = {pk: [] for pk in studies}
    would: dict[int, list[str]] = {pk: [] for pk in studies}
    said = ShadowFinding.objects.filter(shadow__in=films, shadow__analysis__instance__study__in=studies)
    rows = said.order_by("label").values_list("shadow__analysis__instance__study", "label", "positive")
    for study, label, positive in rows:
        if positive and label not in would[study]:
            would[study].append(label)
    kept = films.filter(analysis__instance__study__in=studies, analysis__findings__positive=True)
    ours = kept.order_by("analysis__findings__label").values_list(
        "analysis__instance__study", "analysis__findings__label"
    )
    for study, label in ours:
        if label not in was[study]:
            was[study].append(label)
    return was, would


def films_called_otherwise(films: QuerySet[ShadowAnalysis]) -> QuerySet[ShadowFinding]:
    """The newest first; `beside` and the film come along."""
    differing = called_by_both(films).exclude(positive=F("beside__positive"))
    return differing.select_related("beside", "shadow__analysis__instance").order_by(
        "-shadow__analysis", "label"
    )
