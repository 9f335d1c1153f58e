"""A declined customer contests: the source opens it, a person looks again and says what came of it."""

from __future__ import annotations

from django.db import transaction

from apps.accounts.models import User
from apps.audit.services import Actor, record
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.fraud.common.cardguard import holds_card_number
from apps.fraud.common.selectors import action_for, transaction_by_event
from apps.fraud.models import Action, Contest, ContestOutcome, Source, TransactionStatus
from apps.fraud.wire.schemas import ContestIn


@transaction.atomic
def open_contest(*, source: Source, given: ContestIn, actor: Actor) -> Contest:
    """The same one again is the one there is.

    LynceusError 404 for an event that the source never sent, 409 not_declined for one that it was not told to
    decline, 409 contest_conflict for an id that is known with another event.
    """
    row = transaction_by_event(site=source.site, source_slug=source.slug, event_id=given.event_id)
    if row is None:
        raise LynceusError("not_found", "No such event from this source.", status=404)
    if row.status != TransactionStatus.DECIDED or action_for(source, row.decision) != Action.DECLINE:
        raise LynceusError("not_declined", "This payment was not declined.", status=409)
    made, new = Contest.objects.get_or_create(
        source=source, contest_id=given.contest_id,
        defaults={
            "site": source.site, "decision": row.decision, "message": given.message or "", "opened_at": now()
        },
    )  # fmt: skip
    if made.decision_id != row.decision.pk:
        raise LynceusError("contest_conflict", "This contest_id contests another event.", status=409)
    if new:
        record(
            "contest.opened", site=source.site, actor=actor, subject=f"contest:{made.pk}",
            detail={"source": source.pk},
        )  # fmt: skip
    return made


@transaction.atomic
def settle_contest(contest: Contest, *, outcome: ContestOutcome, answer: str, by: User) -> None:
    """What the person who looked again found, and what the customer is told. Once."""
    if holds_card_number(answer):
        raise LynceusError("bad_answer", "The answer holds a card number. Leave it out.", status=422)
    settled = Contest.objects.filter(pk=contest.pk, settled_at=None).update(
        outcome=outcome, answer=answer, settled_by=by, settled_at=now()
    )
    if not settled:
        raise LynceusError("already_settled", "Somebody has settled this already.", status=409)
    record(
        "contest.settled", site=contest.site, actor=by, subject=f"contest:{contest.pk}",
        detail={"outcome": outcome},
    )  # fmt: skip
