"""Attempts to reach the cardholder, as they were made."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from apps.accounts.models import User
from apps.audit.services import record
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.fraud.common.cardguard import holds_card_number
from apps.fraud.models import ContactAttempt, ContactChannel, ContactOutcome, Decision


@transaction.atomic
def record_contact(
    made: Decision,
    *,
    channel: ContactChannel,
    outcome: ContactOutcome,
    made_at: datetime | None,
    note: str,
    by: User,
) -> ContactAttempt:
    """LynceusError 422 bad_contact for a time ahead, or a card number in the note."""
    at = now()
    if made_at is not None and made_at > at:
        raise LynceusError("bad_contact", "This time has not come yet.", status=422)
    if holds_card_number(note):
        raise LynceusError("bad_contact", "The note holds a card number. Leave it out.", status=422)
    kept = ContactAttempt.objects.create(
        site=by.site, decision=made, channel=channel, outcome=outcome, note=note, made_at=made_at or at,
        by=by, at=at,
    )  # fmt: skip
    record(
        "contact.recorded", site=by.site, actor=by, subject=f"transaction:{made.transaction_id}",
        detail={"channel": channel, "outcome": outcome},
    )  # fmt: skip
    return kept
