"""The synchronous door's decisions: stored before they are answered, within a deadline or with less."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from django.db import IntegrityError

from apps.audit.services import Actor
from apps.core.sql import new_ids, round_trip
from apps.fraud.decide.services.decide import Hurry, decide_transactions
from apps.fraud.decide.services.ingest import ask_known, event_conflict, rows_of, store_rows
from apps.fraud.decide.services.look import AlreadyDecided
from apps.fraud.models import Source, Transaction, TransactionStatus
from apps.fraud.serving.services.reversals import match_stored
from apps.fraud.serving.services.states import Busy, hurried, limit_waits
from apps.fraud.wire.validation import CheckedEvent, error_row

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
        known, ids = _look_up(batch, wait_s)
        first = {asked.key: asked for asked in reversed(batch) if asked.key not in known}
        fresh = _fresh(list(first.values()), ids)
        rows = [*_pending([pk for pk, _ in known.values()]), *(row for group in fresh for row in group.rows)]
        # What takes a payment back is stored and not decided.
        due = [row for row in rows if row.status != TransactionStatus.NOT_APPLICABLE]
        if due:
            decide_transactions(due, hurry, lambda: _store(fresh))
        elif fresh:
            with round_trip():
                _store(fresh)
        match_stored([row for row in rows if row.status == TransactionStatus.NOT_APPLICABLE])
    of_key: dict[Key, Transaction] = {(row.source_id, row.event_id): row for row in rows if row.pk in ids}
    read = _answered([pk for pk, _ in known.values()])
    of_key |= {key: read[pk] for key, (pk, _) in known.items()}
    bodies = {key: asked.item.body_sha256 for key, asked in first.items()}
    bodies |= {key: body_sha256 for key, (_, body_sha256) in known.items()}
    return [of_key[one.key] if bodies[one.key] == one.item.body_sha256 else None for one in batch]


@dataclass(frozen=True, slots=True)
class Fresh:
    """Events of one source and caller that nobody has seen before, and the rows they will be."""

    asked: list[Asked]
    rows: list[Transaction]


def _look_up(batch: Sequence[Asked], wait_s: float) -> tuple[dict[Key, tuple[int, str]], list[int]]:
    """What is known of the ids, as (transaction, hash of its body), and keys for those that are not."""
    ids_of: dict[int, list[str]] = {}
    for asked in batch:
        ids_of.setdefault(asked.source.pk, []).append(asked.item.event.event_id)
    with round_trip():
        limit_waits(wait_s)
        known = {source: ask_known(source, event_ids) for source, event_ids in ids_of.items()}
        ids = new_ids(Transaction, len(batch))
    found: dict[Key, tuple[int, str]] = {
        (source, event_id): (pk, body_sha256)
        for source, answered in known.items()
        for event_id, pk, body_sha256 in answered.fetchall()
    }
    return found, [pk for (pk,) in ids.fetchall()]


def _fresh(asked: list[Asked], ids: list[int]) -> list[Fresh]:
    """Their decisions come with them: nobody shall claim these rows."""
    groups = []
    for _, group in groupby(sorted(asked, key=_by_sender), key=_by_sender):
        mine = list(group)
        rows = rows_of(mine[0].source, [one.item for one in mine], ids)
        ids = ids[len(mine) :]
        for row in rows:
            if row.status == TransactionStatus.PENDING:
                row.status = TransactionStatus.DECIDED
        groups.append(Fresh(mine, rows))
    return groups


def _by_sender(asked: Asked) -> tuple[int, int]:
    return asked.source.pk, asked.actor.pk if asked.actor else 0


def _store(fresh: Sequence[Fresh]) -> None:
    for group in fresh:
        store_rows(group.rows, [one.item for one in group.asked], actor=group.asked[0].actor)


def _pending(pks: Sequence[int]) -> list[Transaction]:
    """Those that wait for a worker. Not locked: a worker locks the states before it claims rows, and so do
    we, or each could wait for the other. Who claims second raises AlreadyDecided and looks again."""
    if not pks:
        return []
    pending = Transaction.objects.filter(pk__in=pks, status=TransactionStatus.PENDING)
    return list(pending.select_related("source__site").order_by("pk"))


def _answered(pks: Sequence[int]) -> dict[int, Transaction]:
    if not pks:
        return {}
    rows = Transaction.objects.select_related(
        "source", "decision__evidence", "decision__rescore", "duplicate_of"
    )
    return {row.pk: row for row in rows.filter(pk__in=pks)}
