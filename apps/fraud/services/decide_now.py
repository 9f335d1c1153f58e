"""The synchronous door's decision: stored before it is answered, within a deadline or with less."""

from __future__ import annotations

import time
from collections.abc import Iterable

from django.db import IntegrityError
from django.db.models import QuerySet

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


def decide_now(*, source: Source, item: CheckedEvent, until: float, actor: Actor) -> Transaction:
    """The transaction, committed with its decision; `until` is time.monotonic.

    States somebody else holds too long: decided without them, which the decision says, and they hear
    of it later. LynceusError 409 for an id known with another body; Busy where even that had to wait.
    """
    think = until - COMMIT_S
    # Half the time for the locks, so that without them there is still time for the model.
    wait_s = max(0.0, think - time.monotonic()) / 2
    try:
        return _settle(source, item, Hurry(think), wait_s, actor)
    except Busy:
        return _settle(source, item, Hurry(think, without_state=True), LAST_WAIT_S, actor)


def _settle(source: Source, item: CheckedEvent, hurry: Hurry, wait_s: float, actor: Actor) -> Transaction:
    for _ in range(LOOKS - 1):
        try:
            return _decide(source, item, hurry, wait_s, actor)
        except (IntegrityError, AlreadyDecided):
            continue  # the same event by another request or a worker, between our look and our write
    return _decide(source, item, hurry, wait_s, actor)


def _decide(source: Source, item: CheckedEvent, hurry: Hurry, wait_s: float, actor: Actor) -> Transaction:
    with hurried(wait_s):
        row = _known(source, item)
        if row is None:
            [row] = store_events(source=source, events=[item], actor=actor)
        if row.status == TransactionStatus.PENDING:
            decide_transactions([row], hurry)
    [row] = read_back([row.pk])
    return row


def read_back(pks: Iterable[int]) -> QuerySet[Transaction]:
    """As the answer wants them."""
    return Transaction.objects.select_related("source", "decision__evidence", "duplicate_of").filter(
        pk__in=pks
    )


def _known(source: Source, item: CheckedEvent) -> Transaction | None:
    """The transaction of an event sent before.

    Not locked: a worker locks the states before it claims rows, and so do we, or each could wait for
    the other. Who claims second raises AlreadyDecided and looks again.
    """
    key = EventKey.objects.filter(source=source, event_id=item.event.event_id).first()
    if key is None:
        return None
    if key.body_sha256 != item.body_sha256:
        raise event_conflict([error_row(0, key.event_id, "event_id", "same_id_other_body")])
    return Transaction.objects.select_related("source__site").get(pk=key.transaction_id)
