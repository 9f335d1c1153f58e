"""What analysts made of alerts. Rows are added, never changed: a changed mind is another row."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q

from apps.accounts.models import Site, User
from apps.fraud.models.decisions import Alert
from apps.fraud.models.labels import FraudType
from apps.fraud.models.sources import one_of
from apps.fraud.models.work import WorkItem

NOTE_MAX = 500


class Verdict(models.TextChoices):
    FRAUD = "fraud", "Confirmed fraud"
    LEGITIMATE = "legitimate", "Legitimate"
    CANNOT_TELL = "cannot_tell", "Cannot tell"
    DUPLICATE = "duplicate", "Duplicate"


# What becomes a label; nothing else ever does.
LABELLED = {Verdict.FRAUD: True, Verdict.LEGITIMATE: False}


class Ground(models.TextChoices):
    """What a verdict rests on."""

    HOLDER_DENIES = "holder_denies", "the cardholder denies it"
    HOLDER_CONFIRMS = "holder_confirms", "the cardholder confirms it"
    ISSUER_SAYS = "issuer_says", "the issuer says so"
    PATTERN = "pattern", "a known pattern of fraud"
    CARD_TESTING = "card_testing", "a stolen number is tried out"
    USUAL = "usual", "as this card is used"
    TRAVEL = "travel", "a journey explains it"
    MERCHANT_CONFIRMS = "merchant_confirms", "the merchant confirms it"
    NOT_REACHED = "not_reached", "nobody could be reached"
    TOO_LITTLE = "too_little", "too little to go by"
    SAME_PAYMENT = "same_payment", "the same payment came twice"
    SAME_ALERT = "same_alert", "settled with another alert"
    OTHER = "other", "other, see the note"


GROUNDS: dict[Verdict, tuple[Ground, ...]] = {
    Verdict.FRAUD: (
        Ground.HOLDER_DENIES, Ground.ISSUER_SAYS, Ground.PATTERN, Ground.CARD_TESTING, Ground.OTHER,
    ),
    Verdict.LEGITIMATE: (
        Ground.HOLDER_CONFIRMS, Ground.ISSUER_SAYS, Ground.USUAL, Ground.TRAVEL, Ground.MERCHANT_CONFIRMS,
        Ground.OTHER,
    ),
    Verdict.CANNOT_TELL: (Ground.NOT_REACHED, Ground.TOO_LITTLE, Ground.OTHER),
    Verdict.DUPLICATE: (Ground.SAME_PAYMENT, Ground.SAME_ALERT, Ground.OTHER),
}  # fmt: skip


class Disposition(models.Model):
    """One verdict on alerts of one item. Those of one `batch` were given, and can be undone, together."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    batch = models.UUIDField(db_index=True)
    item = models.ForeignKey(WorkItem, on_delete=models.PROTECT, related_name="dispositions")
    alerts = models.ManyToManyField(Alert, related_name="dispositions")
    verdict = models.CharField(max_length=11, choices=Verdict.choices)
    type = models.CharField(max_length=26, choices=FraudType.choices, blank=True)
    reason = models.CharField(max_length=17, choices=Ground.choices)
    note = models.CharField(max_length=NOTE_MAX, blank=True)
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=one_of("verdict", Verdict), name="verdict_known"),
            models.CheckConstraint(condition=one_of("reason", Ground), name="ground_known"),
            models.CheckConstraint(
                condition=(Q(verdict="fraud") & one_of("type", FraudType))
                | (~Q(verdict="fraud") & Q(type="")),
                name="fraud_has_a_type",
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["site", "-id"], name="dispositions_newest")]

    def __str__(self) -> str:
        return f"disposition {self.public_id}"

    @property
    def stands(self) -> bool:
        return not hasattr(self, "withdrawal")


class Withdrawal(models.Model):
    """A disposition that was taken back, in time or for another one."""

    disposition = models.OneToOneField(
        Disposition, on_delete=models.PROTECT, primary_key=True, related_name="withdrawal"
    )
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"withdrawal of disposition {self.disposition_id}"


class LabelDue(models.Model):
    """A disposition that becomes labels once it can no longer be undone. Gone with either."""

    disposition = models.OneToOneField(
        Disposition, on_delete=models.PROTECT, primary_key=True, related_name="label_due"
    )
    due_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"labels due of disposition {self.disposition_id}"
