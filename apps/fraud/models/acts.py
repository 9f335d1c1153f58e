"""What analysts did about a payment or its card, and whom they spoke to. Rows are added, never changed."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models

from apps.accounts.models import Site, User
from apps.fraud.models.decisions import Decision
from apps.fraud.models.dispositions import NOTE_MAX, Disposition
from apps.fraud.models.rulesets import ListEntry
from apps.fraud.models.sources import one_of


class ActKind(models.TextChoices):
    RELEASE = "release", "Payment released"
    BLOCK = "block", "Card blocked"
    LIST = "list", "Put on a list"


class Act(models.Model):
    """One thing done, or what undid it. `entry`: what it put on a list."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=7, choices=ActKind.choices)
    decision = models.ForeignKey(Decision, on_delete=models.PROTECT, related_name="acts")
    disposition = models.ForeignKey(Disposition, null=True, on_delete=models.PROTECT, related_name="acts")
    entry = models.ForeignKey(ListEntry, null=True, on_delete=models.PROTECT, related_name="acts")
    undoes = models.OneToOneField("self", null=True, on_delete=models.PROTECT, related_name="undone")
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [models.CheckConstraint(condition=one_of("kind", ActKind), name="act_known")]

    def __str__(self) -> str:
        return f"act {self.public_id}"

    @property
    def stands(self) -> bool:
        return not hasattr(self, "undone")


class ContactChannel(models.TextChoices):
    PHONE = "phone", "telephone"
    SMS = "sms", "text message"
    EMAIL = "email", "e-mail"
    APP = "app", "the bank's app"
    LETTER = "letter", "letter"
    OTHER = "other", "other"


class ContactOutcome(models.TextChoices):
    NOT_REACHED = "not_reached", "not reached"
    MESSAGE_LEFT = "message_left", "message left"
    CONFIRMED = "confirmed", "confirms the payment"
    DENIED = "denied", "denies the payment"
    UNSURE = "unsure", "is not sure"
    REFUSED = "refused", "would not say"


class ContactAttempt(models.Model):
    """One attempt to reach the cardholder. `made_at` is when, `at` when it was written down."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    decision = models.ForeignKey(Decision, on_delete=models.PROTECT, related_name="contacts")
    channel = models.CharField(max_length=6, choices=ContactChannel.choices)
    outcome = models.CharField(max_length=12, choices=ContactOutcome.choices)
    note = models.CharField(max_length=NOTE_MAX, blank=True)
    made_at = models.DateTimeField()
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=one_of("channel", ContactChannel), name="contact_channel_known"),
            models.CheckConstraint(condition=one_of("outcome", ContactOutcome), name="contact_outcome_known"),
        ]

    def __str__(self) -> str:
        return f"contact attempt {self.pk}"
