"""Reads: the queue of work items. The most at stake comes first; it pages by key, from partial indexes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import OuterRef, Q, QuerySet, Subquery, TextChoices
from django.utils import timezone

from apps.accounts.models import Role, Site, User
from apps.core.clock import now
from apps.core.paging import as_key, beyond, number_key, time_key
from apps.fraud.models import Alert, AlertStatus, Desk, WorkItem, WorkMove

PAGE_ROWS = 25
COUNT_MAX = 10_000  # nobody reads a larger number, and counting on would take longer with every item
MINE_MAX = 500


class State(TextChoices):
    """What the queue may be narrowed to."""

    FREE = "free", "Free to take"
    MINE = "mine", "Mine"
    OVERDUE = "overdue", "Overdue"
    ESCALATED = "escalated", "Escalated"
    SNOOZED = "snoozed", "Put off"


# By what each is ordered where it is not by what is at stake, from the earliest on.
BY_TIME = {State.OVERDUE: "due_at", State.SNOOZED: "snoozed_until"}


@dataclass(frozen=True, slots=True)
class WorkFilter:
    """What is looked at of a desk; an empty state is all that is awake."""

    desk: str = Desk.LOSS
    state: str = ""
    at_least_minor: int = 0

    @property
    def is_ranked(self) -> bool:
        """Whether it is the queue itself, in which the day's capacity draws its line."""
        return not self.state


@dataclass(frozen=True, slots=True)
class Entry:
    """An item with what a row tells of it: the open alert with the most at stake, and the last move."""

    item: WorkItem
    lead: Alert
    move: WorkMove | None


@dataclass(frozen=True, slots=True)
class WorkPage:
    """A page's entries, and the key of the page that follows: empty where there is none."""

    entries: list[Entry]
    following: str


def free_items(site: Site, desk: Desk, user: User, at: datetime) -> QuerySet[WorkItem]:
    """Open items this analyst may take without asking anybody, the most at stake first."""
    items = WorkItem.objects.filter(site=site, desk=desk, closed_at=None)
    free = Q(locked_until=None) | Q(locked_until__lte=at) | Q(locked_by=user)
    # What was given to somebody who has left is nobody's.
    mine_or_nobodys = Q(assignee=None) | Q(assignee=user) | Q(assignee__is_active=False)
    return items.filter(free, awake(at), mine_or_nobodys).order_by("-at_stake_minor", "-id")


def awake(at: datetime) -> Q:
    """Those nobody put off until later than `at`."""
    return Q(snoozed_until=None) | Q(snoozed_until__lte=at)


def item_for(site: Site, pk: int) -> WorkItem | None:
    return WorkItem.objects.filter(site=site, pk=pk).first()


def items_among(site: Site, pks: Sequence[int]) -> list[WorkItem]:
    """Those still open, the most at stake first."""
    found = WorkItem.objects.filter(site=site, pk__in=pks, closed_at=None)
    return list(found.order_by("-at_stake_minor", "-pk"))


def analysts_of(site: Site) -> QuerySet[User]:
    analysts = User.objects.filter(site=site, role=Role.FRAUD_ANALYST, is_active=True)
    return analysts.order_by("full_name", "email")


def work_page(
    site: Site, chosen: WorkFilter, *, rows: int, user: User | None = None, after: str = ""
) -> WorkPage:
    """The page behind the key `after`, else the first. Without a user nothing is theirs, and what is free is
    what nobody holds or was given."""
    column = BY_TIME.get(State(chosen.state), "") if chosen.state else ""
    found = _chosen(site, chosen, user)
    if column:
        found = beyond(found, column, time_key(after), descending=False).order_by(column, "pk")
    else:
        found = beyond(found, "at_stake_minor", number_key(after), descending=True)
        found = found.order_by("-at_stake_minor", "-pk")
    keys = list(found.values_list(column or "at_stake_minor", "pk")[: rows + 1])
    shown = keys[:rows]
    entries = _entries([pk for _, pk in shown])
    return WorkPage(entries, as_key(*shown[-1]) if len(keys) > rows else "")


def lead_of(item: WorkItem) -> Alert | None:
    """The open alert with the most at stake, the newest of equals; None where all are settled."""
    return _by_stake(item.alerts.filter(status=AlertStatus.OPEN)).select_related("decision").first()


def _by_stake(alerts: QuerySet[Alert]) -> QuerySet[Alert]:
    return alerts.order_by("-at_stake_minor", "-pk")


def _chosen(site: Site, chosen: WorkFilter, user: User | None) -> QuerySet[WorkItem]:
    at, items = now(), WorkItem.objects.filter(site=site, desk=chosen.desk, closed_at=None)
    if chosen.state == State.FREE and user is not None:
        items = free_items(site, Desk(chosen.desk), user, at)
    if chosen.at_least_minor:
        items = items.filter(at_stake_minor__gte=chosen.at_least_minor)
    if chosen.state == State.OVERDUE:
        return items.filter(due_at__lt=at)
    if chosen.state == State.SNOOZED:
        return items.filter(snoozed_until__gt=at)
    if chosen.state == State.ESCALATED:
        return items.filter(escalated_at__isnull=False)
    if chosen.state == State.MINE:
        return items.filter(pk__in=_mine(user, at) if user else [])
    if chosen.state == State.FREE and user is None:
        items = items.filter(Q(locked_until=None) | Q(locked_until__lte=at), assignee=None)
    return items.filter(awake(at))


def _mine(user: User, at: datetime) -> set[int]:
    """What this analyst holds or was given by name. Looked for apart: each half has an index of its own."""
    open_items = WorkItem.objects.filter(site=user.site_id, closed_at=None).order_by("-pk")
    held = open_items.filter(locked_by=user, locked_until__gt=at)
    given = open_items.filter(assignee=user)
    return {pk for half in (held, given) for pk in half.values_list("pk", flat=True)[:MINE_MAX]}


def _entries(pks: Sequence[int]) -> list[Entry]:
    """In this order. Asked for apart from which they are: with all items to choose from, the database would
    plan what a row tells for all of them."""
    lead = _by_stake(Alert.objects.filter(item=OuterRef("pk"), status=AlertStatus.OPEN)).values("pk")[:1]
    found = WorkItem.objects.filter(pk__in=pks).select_related("locked_by", "assignee")
    items = {item.pk: item for item in found.annotate(lead_id=Subquery(lead))}
    leads = Alert.objects.filter(pk__in=[item.lead_id for item in items.values()])
    led = {
        alert.item_id: alert
        for alert in leads.select_related("decision__transaction__source", "decision__rescore")
    }
    moves = WorkMove.objects.filter(item__in=pks).select_related("by", "to").order_by("pk")
    moved = {move.item_id: move for move in moves}
    return [Entry(items[pk], led[pk], moved.get(pk)) for pk in pks if pk in led]


@dataclass(frozen=True, slots=True)
class DeskStanding:
    """How much waits at a desk, `COUNT_MAX` for more."""

    desk: Desk
    waiting: int
    overdue: int
    snoozed: int


def standings_of(site: Site) -> list[DeskStanding]:
    at, standings = now(), []
    for desk in Desk:
        items = WorkItem.objects.filter(site=site, desk=desk, closed_at=None)
        standings.append(
            DeskStanding(
                desk,
                _count(items),
                _count(items.filter(due_at__lt=at)),
                _count(items.filter(snoozed_until__gt=at)),
            )
        )
    return standings


def _count(rows: QuerySet[Any]) -> int:
    return rows.order_by().values("pk")[:COUNT_MAX].count()


@dataclass(frozen=True, slots=True)
class Line:
    """How far down the queue today's capacity reaches: `last` is the (at stake, id) of the last item that
    is begun today, None where none is; `all_fit` where the queue ends before it does."""

    reviewed: int
    left: int
    last: tuple[int, int] | None
    all_fit: bool


def line_of(site: Site, desk: str, alerts_per_day: int) -> Line:
    """By alerts: each item takes as many of the day's as it has. The day is the site's own."""
    reviewed = reviewed_today(site, desk)
    left, last = max(0, alerts_per_day - reviewed), None
    ranked = _chosen(site, WorkFilter(desk), None).order_by("-at_stake_minor", "-pk")
    room = left
    # No more items than alerts are left can be begun; one more tells whether any is left over.
    for stake, pk, alerts in ranked.values_list("at_stake_minor", "pk", "alert_count")[: left + 1]:
        if room <= 0:
            return Line(reviewed, left, last, all_fit=False)
        room, last = room - alerts, (stake, pk)
    return Line(reviewed, left, last, all_fit=True)


def reviewed_today(site: Site, desk: str) -> int:
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    closed = Alert.objects.filter(site=site, closed_at__gte=midnight, status=AlertStatus.CLOSED)
    return _count(closed.filter(item__desk=desk))
