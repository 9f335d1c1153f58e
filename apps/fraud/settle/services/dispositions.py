"""An analyst's verdict on alerts, its undoing within UNDO, and the labels it becomes after that.

A label is never taken back, so none is made while the verdict still may be.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import Http404

from apps.accounts.models import User
from apps.audit.services import record
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.core.words import counted
from apps.fraud.common.cardguard import holds_card_number
from apps.fraud.models import (
    GROUNDS,
    LABELLED,
    Alert,
    AlertStatus,
    Decision,
    Disposition,
    FraudLabel,
    FraudType,
    Ground,
    LabelDue,
    ListEntry,
    ListKind,
    ListName,
    Verdict,
    Withdrawal,
    WorkItem,
)
from apps.fraud.settle.services.acts import block_card, is_held, is_released, release, undo_act
from apps.fraud.work.services.gather import ring_gather
from apps.fraud.work.services.work import close_alerts, take_item

UNDO = timedelta(minutes=10)
BULK_MAX = 200


@dataclass(frozen=True, slots=True)
class Said:
    """What an analyst says of alerts, and what shall be done with it. `until`: when a block ends."""

    verdict: Verdict
    reason: Ground
    type: FraudType | None = None
    note: str = ""
    release: bool = False
    block: bool = False
    until: datetime | None = None


def check(said: Said) -> None:
    """LynceusError 422 bad_disposition, in words, for what does not go together."""
    if said.reason not in GROUNDS[said.verdict]:
        raise _bad("This reason does not go with that verdict.")
    if (said.type is None) == (said.verdict == Verdict.FRAUD):
        raise _bad("Say what type of fraud it is." if said.type is None else "Only a fraud has a type.")
    if said.reason == Ground.OTHER and not said.note:
        raise _bad("Say in the note what it rests on.")
    if holds_card_number(said.note):
        raise _bad("The note holds a card number. Leave it out.")
    if said.release and said.verdict != Verdict.LEGITIMATE:
        raise _bad("Only what is legitimate is released.")
    if said.block and said.verdict == Verdict.LEGITIMATE:
        raise _bad("The card of a legitimate payment is not blocked.")
    if said.block and said.until is not None and said.until <= now():
        raise _bad("The block's end is past.")


@transaction.atomic
def dispose(
    item: WorkItem, alert_ids: Collection[int], said: Said, by: User, *, batch: uuid.UUID | None = None
) -> Disposition:
    """Settle those alerts of an item that this analyst holds; `close_alerts` says what is refused."""
    check(said)
    if not alert_ids:
        raise LynceusError("nothing_chosen", "Choose at least one alert.", status=422)
    made = _write(item, close_alerts(item, alert_ids, by), said, by, batch or uuid.uuid4())
    _act(made, said, by)
    return made


@dataclass(frozen=True, slots=True)
class Effect:
    """What settling items as they are now comes to. `amount_minor` in the reporting currency.

    `upto`: the newest alert that was counted. `busy`: items that somebody else works on.
    """

    items: int
    alerts: int
    cards: int
    amount_minor: int
    at_stake_minor: int
    upto: int
    busy: int


def preview(items: Iterable[WorkItem], by: User) -> Effect:
    """What `dispose_many` would do to these. One alert is one payment."""
    at = now()
    items = [item for item in items if item.closed_at is None]
    busy = sum(
        item.locked_by_id not in (None, by.pk) and item.locked_until is not None and item.locked_until > at
        for item in items
    )
    alerts = list(
        Alert.objects.filter(item__in=items, status=AlertStatus.OPEN).values_list(
            "pk", "amount_reporting_minor", "at_stake_minor"
        )
    )
    return Effect(
        items=len(items), alerts=len(alerts), cards=len({item.card_token for item in items}),
        amount_minor=sum(amount for _, amount, _ in alerts),
        at_stake_minor=sum(stake or 0 for _, _, stake in alerts),
        upto=max((pk for pk, _, _ in alerts), default=0), busy=busy,
    )  # fmt: skip


@transaction.atomic
def dispose_many(items: Sequence[WorkItem], said: Said, by: User, *, upto: int, alerts: int) -> uuid.UUID:
    """Settle all alerts of these items up to the key `upto`, `alerts` in number as the preview had them; one
    batch. All or none.

    LynceusError 409 item_locked where somebody works on one, changed_meanwhile where it is no longer what was
    previewed; 422 too_many_items.
    """
    check(said)
    if not 1 <= len(items) <= BULK_MAX:
        raise LynceusError("too_many_items", f"Choose 1 to {BULK_MAX} cards.", status=422)
    if any(item.site_id != by.site_id for item in items):
        raise Http404
    batch, settled = uuid.uuid4(), 0
    # All before the first is settled: who has one of them may wait for what a block locks.
    for taken in [take_item(item, by) for item in sorted(items, key=lambda item: item.pk)]:
        ids = list(taken.alerts.filter(status=AlertStatus.OPEN, pk__lte=upto).values_list("pk", flat=True))
        if ids:
            dispose(taken, ids, said, by, batch=batch)
        settled += len(ids)
    if settled != alerts:
        says = f"Shown: {counted(alerts, 'alert')}; open now: {settled}. Look at them again."
        raise LynceusError("changed_meanwhile", says, status=409)
    return batch


@transaction.atomic
def undo(batch: uuid.UUID, by: User) -> list[Disposition]:
    """Take a whole batch back: its alerts are open again, its acts undone, and no label is made of it.

    Http404 for another site's; LynceusError 409 already_undone, or too_late once UNDO has passed.
    """
    rows = _locked(Q(batch=batch), by)
    standing = _standing(rows)
    if any(row.at + UNDO <= now() for row in standing):
        raise _too_late()
    _withdraw(standing, by)
    _open_again(standing)
    for made in standing:
        for act in made.acts.filter(undoes=None).order_by("pk"):
            if act.stands:  # a block at two sources is undone with the first of them
                undo_act(act, by)
    return standing


@transaction.atomic
def dispose_again(before: Disposition, said: Said, by: User) -> Disposition:
    """A changed mind: another row. The one before is withdrawn, unless it became a label: then the newer
    label counts.

    LynceusError 409 label_stands for what makes no label where one was made: that can only be contradicted;
    already_undone for one that no longer stands.
    """
    check(said)
    [before] = _standing(_locked(Q(pk=before.pk), by))
    alerts = list(before.alerts.select_related("decision__transaction__source").order_by("pk"))
    if any(alert.status == AlertStatus.OPEN for alert in alerts):
        raise LynceusError("alert_open", "This alert is open again: settle it there.", status=409)
    labels = _labels_of(alerts)
    if said.verdict not in LABELLED and labels.exists():
        says = "What was said became a label. It can be contradicted: fraud or legitimate."
        raise LynceusError("label_stands", says, status=409)
    if not labels.filter(disposition=before).exists():
        _withdraw([before], by)
    made = _write(before.item, alerts, said, by, uuid.uuid4())
    _act(made, said, by)
    return made


def _write(item: WorkItem, alerts: Sequence[Alert], said: Said, by: User, batch: uuid.UUID) -> Disposition:
    at = now()
    made = Disposition.objects.create(
        site=by.site, batch=batch, item=item, verdict=said.verdict, type=said.type or "", reason=said.reason,
        note=said.note, by=by, at=at,
    )  # fmt: skip
    made.alerts.set(alerts)
    if said.verdict in LABELLED:
        LabelDue.objects.create(disposition=made, due_at=at + UNDO)
    record(
        "alerts.disposed", site=by.site, actor=by, subject=f"item:{item.pk}",
        detail={"disposition": made.pk, "verdict": said.verdict, "type": made.type, "count": len(alerts)},
    )  # fmt: skip
    return made


def _act(made: Disposition, said: Said, by: User) -> None:
    """What is done with a verdict; what was done already is left as it is."""
    if not (said.release or said.block):
        return
    alerts = made.alerts.select_related("decision__transaction__source").order_by("pk")
    decisions = [alert.decision for alert in alerts]
    for one in decisions:
        if said.release and is_held(one) and not is_released(one):
            release(one, by, made)
    if said.block and not card_blocked(decisions[0]):
        reason = f"{said.verdict.label}: {said.reason.label}"
        block_card(
            decisions[0].transaction.card_token, until=said.until, reason=reason, by=by, about=decisions,
            disposition=made,
        )  # fmt: skip


def card_blocked(made: Decision) -> ListEntry | None:
    """What blocks the payment's card at its site now."""
    holding = ListEntry.objects.filter(
        Q(expires_at=None) | Q(expires_at__gt=now()), site=made.transaction.source.site_id, ended_at=None
    )
    return holding.filter(
        list=ListName.BLOCK, kind=ListKind.CARD_TOKEN, value=made.transaction.card_token
    ).first()


def _locked(which: Q, by: User) -> list[Disposition]:
    rows = Disposition.objects.select_for_update(of=("self",)).filter(which, site=by.site)
    found = list(rows.select_related("site").order_by("pk"))
    if not found:
        raise Http404
    return found


def _standing(rows: Sequence[Disposition]) -> list[Disposition]:
    """Those not withdrawn, asked once they are locked."""
    gone = set(Withdrawal.objects.filter(disposition__in=rows).values_list("disposition", flat=True))
    standing = [row for row in rows if row.pk not in gone]
    if not standing:
        raise LynceusError("already_undone", "This was undone already.", status=409)
    return standing


def _withdraw(rows: Sequence[Disposition], by: User) -> None:
    at = now()
    due, _ = LabelDue.objects.filter(disposition__in=rows).delete()
    if due != sum(row.verdict in LABELLED for row in rows):  # became labels this very moment
        raise _too_late()
    Withdrawal.objects.bulk_create(Withdrawal(disposition=row, by=by, at=at) for row in rows)
    record(
        "dispositions.withdrawn", site=by.site, actor=by, subject=f"batch:{rows[0].batch}",
        detail={"dispositions": [row.pk for row in rows]},
    )  # fmt: skip


def _open_again(rows: Sequence[Disposition]) -> None:
    """The alerts of these that no other disposition settles lie in no item and wait to be gathered."""
    pairs = Disposition.alerts.through.objects
    ids = set(pairs.filter(disposition__in=rows).values_list("alert", flat=True))
    settled = pairs.filter(alert__in=ids, disposition__withdrawal=None).values_list("alert", flat=True)
    Alert.objects.filter(pk__in=ids - set(settled)).update(status=AlertStatus.OPEN, item=None)
    ring_gather()


def _labels_of(alerts: Sequence[Alert]) -> QuerySet[FraudLabel]:
    """What analysts' earlier verdicts on these became."""
    paid = [alert.decision.transaction_id for alert in alerts]
    return FraudLabel.objects.filter(transaction__in=paid, disposition__isnull=False)


def _too_late() -> LynceusError:
    minutes = int(UNDO.total_seconds() // 60)
    return LynceusError("too_late", f"It can be undone for {minutes} minutes.", status=409)


def _bad(says: str) -> LynceusError:
    return LynceusError("bad_disposition", says, status=422)
