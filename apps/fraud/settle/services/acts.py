"""What an analyst does about a payment: release it, block its card, put what it came by on a list; and undo.

A list counts here from the next decision on. Senders hear of a release or a block through the outbox.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction

from apps.accounts.models import User
from apps.audit.services import record
from apps.core.bell import ring
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.fraud.common.selectors import action_for, latest_of_card
from apps.fraud.models import (
    Act,
    Action,
    ActKind,
    Decision,
    Disposition,
    ListEntry,
    ListKind,
    ListName,
    OutboxRow,
)
from apps.fraud.rules.services.lists import add_entry, end_entry

BLOCKED_FOR = timedelta(days=30)  # what a form proposes
TOPICS = {
    (ActKind.RELEASE, False): "payment.released",
    (ActKind.RELEASE, True): "payment.held",
    (ActKind.BLOCK, False): "card.blocked",
    (ActKind.BLOCK, True): "card.unblocked",
}
LISTABLE = (ListKind.DEVICE_ID, ListKind.IP, ListKind.MERCHANT_ID, ListKind.TERMINAL_ID)


def is_held(made: Decision) -> bool:
    return action_for(made.transaction.source, made) == Action.HOLD


def is_released(made: Decision) -> bool:
    return made.acts.filter(kind=ActKind.RELEASE, undoes=None, undone=None).exists()


@transaction.atomic
def release(made: Decision, by: User, disposition: Disposition | None = None) -> Act:
    """LynceusError 409 where the sender does not hold it, or was told already."""
    Decision.objects.select_for_update(of=("self",)).get(pk=made.pk)
    if not is_held(made):
        raise LynceusError("not_held", "The sender does not hold this payment.", status=409)
    if is_released(made):
        raise LynceusError("already_released", "This payment is released already.", status=409)
    return _do(ActKind.RELEASE, made, by, disposition)


@transaction.atomic
def block_card(
    card_token: str,
    *,
    until: datetime | None,
    reason: str,
    by: User,
    about: Sequence[Decision] = (),
    disposition: Disposition | None = None,
) -> list[Act]:
    """Block a card, here and at each source that sent a payment of it. A source is told of the newest of its
    payments in `about`, else of the card's latest.

    LynceusError 409 already_listed where it is blocked.
    """
    told = {made.transaction.source_id: made for made in latest_of_card(by.site, card_token)}
    told |= {made.transaction.source_id: made for made in sorted(about, key=lambda made: made.pk)}
    entry = add_entry(
        site=by.site, name=ListName.BLOCK, kind=ListKind.CARD_TOKEN, value=card_token, reason=reason,
        expires_at=until, author=by,
    )  # fmt: skip
    return [_do(ActKind.BLOCK, made, by, disposition, entry) for _, made in sorted(told.items())]


@transaction.atomic
def put_on_list(
    made: Decision, *, name: ListName, kind: ListKind, until: datetime | None, reason: str, by: User
) -> Act:
    """The payment's device, address, merchant or terminal. LynceusError 422 where it came without one."""
    value = getattr(made.transaction, kind) if kind in LISTABLE else ""
    if not value:
        what = ListKind(kind).label.lower()
        raise LynceusError("nothing_to_list", f"This payment came without one: {what}.", status=422)
    entry = add_entry(
        site=by.site, name=name, kind=kind, value=value, reason=reason, expires_at=until, author=by
    )
    return _do(ActKind.LIST, made, by, None, entry)


@transaction.atomic
def put_by_hand(
    *, name: ListName, kind: ListKind, value: str, until: datetime | None, reason: str, by: User
) -> None:
    """What somebody writes down on the page of lists: a card is blocked there as it is from an alert."""
    if (name, kind) == (ListName.BLOCK, ListKind.CARD_TOKEN):
        block_card(value, until=until, reason=reason, by=by)
    else:
        add_entry(site=by.site, name=name, kind=kind, value=value, reason=reason, expires_at=until, author=by)


@transaction.atomic
def take_off(entry: ListEntry, by: User) -> None:
    """End an entry. What put it there is undone with it: who was told of the one hears of the other."""
    act = entry.acts.filter(undoes=None, undone=None).order_by("pk").first()
    if act is None:
        end_entry(entry=entry, by=by)
    else:
        undo_act(act, by)


@transaction.atomic
def undo_act(act: Act, by: User) -> None:
    """End its list entry, with all that was done by it, and tell the sender the opposite.

    LynceusError 409 where it was undone already.
    """
    same = Act.objects.filter(undoes=None).select_related("decision__transaction__source", "entry__site")
    same = same.filter(entry=act.entry_id) if act.entry_id else same.filter(pk=act.pk)
    standing = [one for one in same.select_for_update(of=("self",)).order_by("pk") if one.stands]
    if not standing:
        raise LynceusError("already_undone", "This was undone already.", status=409)
    if standing[0].entry is not None:
        end_entry(entry=standing[0].entry, by=by)
    for one in standing:
        _do(ActKind(one.kind), one.decision, by, one.disposition, one.entry, undoes=one)


def _do(
    kind: ActKind,
    made: Decision,
    by: User,
    disposition: Disposition | None = None,
    entry: ListEntry | None = None,
    undoes: Act | None = None,
) -> Act:
    at = now()
    act = Act.objects.create(
        site=by.site,
        kind=kind,
        decision=made,
        disposition=disposition,
        entry=entry,
        undoes=undoes,
        by=by,
        at=at,
    )
    topic = TOPICS.get((kind, undoes is not None))
    if topic and made.transaction.source.webhook_url:
        OutboxRow.objects.create(topic=topic, decision=made, act=act, created_at=at, due_at=at)
        ring("fraud.deliver_decisions")
    record(
        f"act.{'undone' if undoes else 'done'}", site=by.site, actor=by,
        subject=f"transaction:{made.transaction_id}", detail={"kind": kind, "act": act.pk},
    )  # fmt: skip
    return act
