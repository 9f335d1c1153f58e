"""The synchronous door's decisions: stored before they are answered, within a deadline or with less."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from django.db import IntegrityError

from apps.audit.services import Actor
from apps.fraud.models import EventKey, Source, Transaction, TransactionStatus
from apps.fraud.services.decide import Hurry, decide_transactions
from apps.fraud.services.ingest import event_conflict, store_events
from apps.fraud.services.states import Busy, hurried
from apps.fraud.services.verdicts import AlreadyDecided
from apps.fraud.validation import CheckedEvent, error_row

COMMIT_S = 0.005  # kept back from the model, for writing the answer down
LOOKS = 3  # somebody else stores the event, then somebody decides it, then it is there to be read
LAST_WAIT_S = 1.0  # for what is left to wait for once the states are given up: the same event's other sender
Key = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Asked:
    """One event and who sent it."""

    source: Source
    item: CheckedEvent
    actor: Actor

    @property
    def key(self) -> Key:
        return self.source.pk, self.item.event.event_id


def decide_now(asked: Asked, until: float) -> Transaction:
    """The transaction, committed with its decision; `until` is time.monotonic.

    States somebody else holds too long: decided without them, which the decision says, and they hear
    of it later. LynceusError 409 for an id known with another body; Busy where even that had to wait.
    """
    think = until - COMMIT_S
    # Half the time for the locks, so that without them there is still time for the model.
    wait_s = max(0.0, think - time.monotonic()) / 2
    try:
        row = _settle(asked, Hurry(think), wait_s)
    except Busy:
        row = _settle(asked, Hurry(think, without_state=True), LAST_WAIT_S)
    if row is None:
        raise event_conflict([error_row(0, asked.key[1], "event_id", "same_id_other_body")])
    return row


def _settle(asked: Asked, hurry: Hurry, wait_s: float) -> Transaction | None:
    for _ in range(LOOKS - 1):
        try:
            return decide_asked([asked], hurry, wait_s)[0]
        except (IntegrityError, AlreadyDecided):
            continue  # the same event by another request or a worker, between our look and our write
    return decide_asked([asked], hurry, wait_s)[0]


def decide_asked(batch: Sequence[Asked], hurry: Hurry, wait_s: float) -> list[Transaction | None]:
    """Store and decide in one transaction; None for an id that is known with another body.

    Busy after `wait_s` for a lock, IntegrityError or AlreadyDecided where somebody else was faster: then
    nothing of the batch is kept.
    """
    with hurried(wait_s):
        stored = _stored(batch)
        pks = [pk for pk, _ in stored.values()]
        # Not locked: a worker locks the states before it claims rows, and so do we, or each could wait for
        # the other. Who claims second raises AlreadyDecided and looks again.
        pending = Transaction.objects.select_related("source__site").filter(
            pk__in=pks, status=TransactionStatus.PENDING
        )
        decide_transactions(list(pending.order_by("pk")), hurry)
    answered = Transaction.objects.select_related("source", "decision__evidence", "duplicate_of")
    rows = {row.pk: row for row in answered.filter(pk__in=pks)}
    found = [(asked, *stored[asked.key]) for asked in batch]
    return [rows[pk] if body_sha256 == asked.item.body_sha256 else None for asked, pk, body_sha256 in found]


def _stored(batch: Sequence[Asked]) -> dict[Key, tuple[int, str]]:
    """The transaction of each event and the hash of the body it was first sent with; new ones are stored."""
    found: dict[Key, tuple[int, str]] = {}
    for source, of_source in groupby(sorted(batch, key=_by_source), key=lambda asked: asked.source):
        first = {asked.key: asked for asked in reversed(list(of_source))}
        keys = EventKey.objects.filter(source=source, event_id__in=[event_id for _, event_id in first])
        known = {(source.pk, key.event_id): (key.transaction_id, key.body_sha256) for key in keys}
        fresh = [asked for key, asked in first.items() if key not in known]
        for actor in {asked.actor for asked in fresh}:
            mine = [asked for asked in fresh if asked.actor == actor]
            rows = store_events(source=source, events=[asked.item for asked in mine], actor=actor)
            for asked, row in zip(mine, rows, strict=True):
                found[asked.key] = row.pk, asked.item.body_sha256
        found |= known
    return found


def _by_source(asked: Asked) -> int:
    return asked.source.pk
