"""Requests of the synchronous door that wait at the same moment are decided in one transaction.

Nobody waits for company: the first request leads at once, and whoever arrives while it works goes together
next, led by one of them. What a batch cannot settle, each of its requests settles alone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby

from django.db import DatabaseError

from apps.audit.services import Actor
from apps.fraud.models import EventKey, Source, Transaction, TransactionStatus
from apps.fraud.services.decide import Hurry, decide_transactions
from apps.fraud.services.decide_now import COMMIT_S, decide_now, read_back
from apps.fraud.services.ingest import store_events
from apps.fraud.services.states import Busy, hurried
from apps.fraud.services.verdicts import AlreadyDecided
from apps.fraud.validation import CheckedEvent

BATCH = 64


@dataclass(slots=True)
class Request:
    """One caller's event; `until` is time.monotonic. Woken with a result, or to lead, or to go alone."""

    source: Source
    item: CheckedEvent
    until: float
    actor: Actor
    woken: threading.Event = field(default_factory=threading.Event)
    leads: bool = False
    result: Transaction | None = None

    @property
    def key(self) -> tuple[int, str]:
        return self.source.pk, self.item.event.event_id


class Queue:
    """Whoever leads takes all that wait, at most BATCH, and then wakes the next leader."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Request] = []
        self._led = False

    def settle(self, request: Request) -> None:
        """Returns when the request has a result or must go alone."""
        with self._lock:
            self._waiting.append(request)
            request.leads, self._led = not self._led, True
        if not request.leads:
            request.woken.wait()
        if request.leads:
            self._lead()

    def _lead(self) -> None:
        with self._lock:
            batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
        try:
            _decide(batch)
        finally:
            with self._lock:
                following = self._waiting[0] if self._waiting else None
                self._led = following is not None
            for request in batch:
                request.woken.set()
            if following is not None:
                following.leads = True
                following.woken.set()


_queue = Queue()


def decide_together(*, source: Source, item: CheckedEvent, until: float, actor: Actor) -> Transaction:
    """As `decide_now`, together with the requests that wait at the same moment."""
    request = Request(source, item, until, actor)
    _queue.settle(request)
    return request.result or decide_now(source=source, item=item, until=until, actor=actor)


def _decide(batch: Sequence[Request]) -> None:
    """Give each request its result, or none of them where anything stands in the way."""
    until = min(request.until for request in batch) - COMMIT_S
    try:
        with hurried(max(0.0, until - time.monotonic()) / 2):
            stored = _store(batch)
            pks = [pk for pk, _ in stored.values()]
            pending = Transaction.objects.select_related("source__site").filter(
                pk__in=pks, status=TransactionStatus.PENDING
            )
            decide_transactions(list(pending.order_by("pk")), Hurry(until))
    except (Busy, AlreadyDecided, DatabaseError):
        return
    rows = {row.pk: row for row in read_back(pks)}
    for request in batch:
        pk, body_sha256 = stored[request.key]
        if body_sha256 == request.item.body_sha256:  # else alone, to hear of the conflict
            request.result = rows[pk]


def _store(batch: Sequence[Request]) -> dict[tuple[int, str], tuple[int, str]]:
    """The key of each transaction and the hash of its body, by source and event id; new ones stored."""
    found: dict[tuple[int, str], tuple[int, str]] = {}
    for source, of_source in groupby(sorted(batch, key=_by_source), key=lambda request: request.source):
        requests = {request.key: request for request in reversed(list(of_source))}
        ids = [event_id for _, event_id in requests]
        known = {key.event_id: key for key in EventKey.objects.filter(source=source, event_id__in=ids)}
        fresh = [request for request in requests.values() if request.key[1] not in known]
        for actor in {request.actor for request in fresh}:
            mine = [request for request in fresh if request.actor == actor]
            rows = store_events(source=source, events=[request.item for request in mine], actor=actor)
            found |= {
                request.key: (row.pk, request.item.body_sha256)
                for request, row in zip(mine, rows, strict=True)
            }
        found |= {(source.pk, name): (key.transaction_id, key.body_sha256) for name, key in known.items()}
    return found


def _by_source(request: Request) -> int:
    return request.source.pk
