from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from django.db import connection
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from apps.accounts.models import Site
from apps.audit.models import AuditEvent, UnsealedEvent
from apps.core.clock import now
from apps.core.words import counted

PAGE_ROWS = 50
_NEXT_ACTION = """
WITH RECURSIVE known(action) AS (
    SELECT min(action) FROM audit_auditevent WHERE site_id = %s
    UNION ALL
    SELECT (SELECT min(action) FROM audit_auditevent WHERE site_id = %s AND action > known.action)
    FROM known WHERE known.action IS NOT NULL
)
SELECT action FROM known WHERE action IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class Page:
    """Events newest first. `newer` and `older` are the rows to go on from, None where there is no more."""

    rows: list[AuditEvent]
    newer: int | None
    older: int | None


def events_of(
    site: Site, *, action: str = "", actor: str = "", subject: str = "", day: date | None = None
) -> QuerySet[AuditEvent]:
    """A site's events, newest first, each with `waiting`: not yet sealed.

    `day` is one of the reader's own zone as it is now: an export is read after the request's has ended.
    """
    events = AuditEvent.objects.filter(site=site)
    for field, value in (("action", action), ("actor", actor), ("subject", subject)):
        if value:
            events = events.filter(**{field: value})
    if day:
        start, end = (
            timezone.make_aware(datetime.combine(one, time.min)) for one in (day, day + timedelta(days=1))
        )
        events = events.filter(at__gte=start, at__lt=end)
    waiting = Exists(UnsealedEvent.objects.filter(pk=OuterRef("pk")))
    return events.annotate(waiting=waiting).order_by("-id")


def page_of(events: QuerySet[AuditEvent], *, before: int | None = None, after: int | None = None) -> Page:
    """The newest, or those on either side of a row; beyond either end the newest. Counts nothing."""
    if after:
        found = list(events.filter(pk__gt=after).order_by("id")[: PAGE_ROWS + 1])
        if len(found) <= PAGE_ROWS:
            return page_of(events)
        rows = found[PAGE_ROWS - 1 :: -1]
        return Page(rows, newer=rows[0].pk, older=rows[-1].pk)
    found = list((events.filter(pk__lt=before) if before else events)[: PAGE_ROWS + 1])
    if before and not found:
        return page_of(events)
    rows = found[:PAGE_ROWS]
    older = rows[-1].pk if len(found) > PAGE_ROWS else None
    return Page(rows, newer=rows[0].pk if before else None, older=older)


def actions_of(site: Site) -> list[str]:
    """The kinds of action a site has seen: from one to the next along the index, not row by row."""
    with connection.cursor() as cursor:
        cursor.execute(_NEXT_ACTION, [site.pk, site.pk])
        return [action for (action,) in cursor.fetchall()]


def sealing_state() -> str:
    """For /status: raises when the sealer has fallen behind."""
    overdue = now() - timedelta(seconds=30)
    if late := UnsealedEvent.objects.filter(event__at__lt=overdue).count():
        events = counted(late, "event")
        raise RuntimeError(f"unsealed for over 30 s: {events}; is a default worker up?")
    return f"sealed up to now, {UnsealedEvent.objects.count()} waiting"
