"""Seal new events into the chain, and find whatever was edited, deleted, added or cut off since."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import timedelta

from django.conf import settings
from django.db import transaction

from apps.audit.head import HeadError, read_head, write_head
from apps.audit.models import AuditEvent, AuditSeal, ChainHead, UnsealedEvent
from apps.core.clock import now
from apps.core.words import counted

BATCH = 1000
SEAL_WITHIN = timedelta(seconds=60)  # sealing runs every few seconds; this much later something is wrong


def link(previous: str, event: AuditEvent) -> str:
    """The hash of one link, over everything the event says."""
    said = [
        event.pk,
        event.at.isoformat(timespec="microseconds"),
        event.site_id,
        event.actor,
        event.action,
        event.subject,
        event.detail,
    ]
    text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(f"{previous}\n{text}".encode()).hexdigest()


def seal_pending() -> int:
    """Seal everything that waits, in batches; returns how many. The head file follows each commit."""
    sealed = 0
    while count := _seal_batch():
        sealed += count
    return sealed


def _seal_batch() -> int:
    with transaction.atomic():
        ChainHead.objects.get_or_create(pk=1)
        head = ChainHead.objects.select_for_update().get(pk=1)
        waiting = list(UnsealedEvent.objects.select_related("event").order_by("pk")[:BATCH])
        if not waiting:
            return 0
        seals = []
        for unsealed in waiting:
            head.count += 1
            head.sha256 = link(head.sha256, unsealed.event)
            seals.append(AuditSeal(number=head.count, event_id=unsealed.pk, sha256=head.sha256))
        AuditSeal.objects.bulk_create(seals)
        UnsealedEvent.objects.filter(pk__in=[u.pk for u in waiting]).delete()
        head.save()
        count, sha256 = head.count, head.sha256
    # After the commit: a head ahead of the database would cry wolf. `write_head` never steps back.
    write_head(settings.AUDIT_HEAD_PATH, count, sha256)
    return len(seals)


def problems() -> Iterator[str]:
    """Walk the whole chain; one sentence for each thing that is wrong. Constant memory."""
    previous, number = "", 0
    head_count, head_sha256, head_problem = _trusted_head()
    if head_problem:
        yield head_problem
    for chunk in _chunks():
        events = AuditEvent.objects.in_bulk([seal.event_id for seal in chunk])
        for seal in chunk:
            number += 1
            if seal.number != number:
                yield f"link {number} is missing: the chain goes on with {seal.number}"
                number = seal.number
            event = events.get(seal.event_id)
            if event is None:
                yield f"event {seal.event_id} (link {number}) was deleted"
            elif link(previous, event) != seal.sha256:
                yield f"event {seal.event_id} (link {number}) or its seal was edited"
            if number == head_count and seal.sha256 != head_sha256:
                yield f"link {number} is not the one the head outside the database remembers"
            previous = seal.sha256
    if number < head_count:
        yield f"the chain was cut off: {counted(number, 'link')}, but the head remembers {head_count}"
    yield from _unsealed()


def _trusted_head() -> tuple[int, str, str]:
    try:
        count, sha256 = read_head(settings.AUDIT_HEAD_PATH)
    except HeadError as error:
        return 0, "", str(error)
    if not count and AuditSeal.objects.exists():
        return 0, "", "the head outside the database is missing, though there are sealed events"
    return count, sha256, ""


def _chunks() -> Iterator[list[AuditSeal]]:
    last = 0
    while chunk := list(AuditSeal.objects.filter(number__gt=last).order_by("number")[:BATCH]):
        yield chunk
        last = chunk[-1].number


def _unsealed() -> Iterator[str]:
    sealed = AuditSeal.objects.values("event_id")
    overdue = AuditEvent.objects.filter(at__lt=now() - SEAL_WITHIN).exclude(pk__in=sealed)
    for pk in overdue.order_by("pk").values_list("pk", flat=True).iterator():
        yield f"event {pk} is not sealed"
