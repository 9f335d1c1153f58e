"""Send what is due to the site's PACS: at least once, again with longer waits, given up after days.

Nobody waits for a receiver that is away or says no.
"""

from __future__ import annotations

import time
from datetime import timedelta

import structlog
from django.db import transaction
from django.db.models import F, Window
from django.db.models.functions import RowNumber

from apps.audit.services import record
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.radiology.documents.contents import stored_file
from apps.radiology.documents.dispatches import due_dispatches
from apps.radiology.documents.results import results_of
from apps.radiology.documents.services.dispatches import ring_sending
from apps.radiology.exchange.sending import Sent, send
from apps.radiology.models import Dispatch, DispatchAttempt, DocumentKind, Result
from apps.radiology.studies.changes import identity_in_question
from apps.radiology.studies.flags import identity_changed

log = structlog.get_logger(__name__)
BATCH = 64
LEASE = timedelta(seconds=90)
ROUND_S = 45.0  # then whatever else waits in the queue comes first
LATER = timedelta(seconds=60)
# About three days in all.
WAITS = [timedelta(seconds=s) for s in (5, 60, 300, 1800, 7200, 18_000, 36_000, 86_400, 86_400)]


def send_due() -> int:
    """Send what is due, a row of each destination in turn; returns how many were taken.

    One that does not answer has all its due rows put off: a dead receiver costs the others no more than one
    attempt a round.
    """
    taken, end = 0, time.monotonic() + ROUND_S
    for pk in _next_rows():
        if time.monotonic() > end:
            break
        if (dispatch := _claim(pk)) is None or _must_wait(dispatch):
            continue
        sent = _attempt(dispatch)
        taken += sent.taken
        if not sent.answered:
            _put_off(dispatch.destination_id)
    ring_sending()
    return taken


def _next_rows() -> list[int]:
    """Keys of due rows: the oldest of each destination, then the second oldest of each, and so on."""
    turn = Window(RowNumber(), partition_by=F("destination"), order_by=("due_at", "id"))
    rows = due_dispatches().annotate(turn=turn).order_by("turn", "due_at", "id")
    return list(rows.values_list("pk", flat=True)[:BATCH])


def _claim(pk: int) -> Dispatch | None:
    """Compare-and-set on `due_at`: of two workers one gets it, and nobody for as long as the lease runs."""
    due = due_dispatches().select_related(
        "destination", "document__site", "document__read__study", "result__study__site", "result__site"
    )
    if (row := due.filter(pk=pk).first()) is None:
        return None
    row.attempts += 1
    claimed = Dispatch.objects.filter(pk=pk, due_at=row.due_at, delivered_at=None, dead_at=None)
    return row if claimed.update(due_at=now() + LEASE, attempts=row.attempts) else None


def _must_wait(dispatch: Dispatch) -> bool:
    """While it is in doubt whose study it is, or a result says no more what the study is, nothing leaves."""
    held = dispatch.held
    waits = identity_in_question(held.study)
    if isinstance(held, Result):
        waits = waits or held not in results_of(held.study)
    else:
        waits = held.kind == DocumentKind.REPORT and (waits or identity_changed(held.read))
    if waits:
        back = {"due_at": now() + LATER, "attempts": dispatch.attempts - 1}
        Dispatch.objects.filter(pk=dispatch.pk).update(**back)
    return waits


def _attempt(dispatch: Dispatch) -> Sent:
    """Send once and write down how it went."""
    start, at = time.perf_counter(), now()
    sent = _send(dispatch)
    if sent.taken:
        dispatch.delivered_at = at
    elif dispatch.attempts > len(WAITS):
        dispatch.dead_at = at
        log.error("dispatch_given_up", dispatch=dispatch.pk, said=sent.said)
    else:
        dispatch.due_at = at + WAITS[dispatch.attempts - 1]
    took_ms = (time.perf_counter() - start) * 1000
    with transaction.atomic():
        DispatchAttempt.objects.create(dispatch=dispatch, at=at, said=sent.said, took_ms=took_ms)
        dispatch.save(update_fields=["delivered_at", "dead_at", "due_at"])
        if sent.taken:
            _tell(dispatch)
    return sent


def _send(dispatch: Dispatch) -> Sent:
    if dispatch.attempts > len(WAITS) + 1:
        return Sent("sender died")  # the last attempt was never written down
    held = dispatch.held
    try:
        return send(dispatch.destination, stored_file(held))
    except LynceusError as refusal:
        return Sent(refusal.code)
    except OSError as failure:
        return Sent(type(failure).__name__)


def _put_off(destination_id: int) -> None:
    """All of a silent destination's due rows: they were not tried, so no attempt is counted."""
    due = due_dispatches().filter(destination=destination_id).values("pk")
    Dispatch.objects.filter(pk__in=list(due.values_list("pk", flat=True))).update(due_at=now() + LATER)


def _tell(dispatch: Dispatch) -> None:
    held = dispatch.held
    detail = {"dispatch": dispatch.pk, "destination": dispatch.destination_id}
    subject = f"study:{held.study.pk}"
    record("report.delivered", site=held.site, actor=None, subject=subject, detail=detail)
