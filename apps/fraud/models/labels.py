"""What became known of a transaction afterwards. Rows are added, never changed: knowledge has a history."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from apps.fraud.models.sources import one_of
from apps.fraud.models.transactions import Transaction


class LabelSource(models.TextChoices):
    ANALYST = "analyst"
    CARDHOLDER = "cardholder"
    ISSUER = "issuer"
    TC40 = "tc40", "TC40"
    SAFE = "safe", "SAFE"
    CHARGEBACK = "chargeback"


class FraudType(models.TextChoices):
    LOST = "lost"
    STOLEN = "stolen"
    NOT_RECEIVED = "not_received", "card not received"
    FALSE_APPLICATION = "false_application"
    COUNTERFEIT = "counterfeit"
    ACCOUNT_TAKEOVER = "account_takeover"
    CARD_NOT_PRESENT = "card_not_present"
    PAYER_MANIPULATION = "payer_manipulation"
    FIRST_PARTY = "first_party"
    MERCHANT_MISREPRESENTATION = "merchant_misrepresentation"
    OTHER = "other"


class FraudLabel(models.Model):
    """`known_at` is when it became known where it comes from, `received_at` when it was known here."""

    transaction = models.ForeignKey(Transaction, on_delete=models.PROTECT, related_name="labels")
    fraud = models.BooleanField()
    source = models.CharField(max_length=10, choices=LabelSource.choices)
    type = models.CharField(max_length=26, choices=FraudType.choices, blank=True)
    scheme = models.CharField(max_length=32, blank=True)
    raw_code = models.CharField(max_length=32, blank=True)
    known_at = models.DateTimeField()
    received_at = models.DateTimeField()
    # An analyst's: what it was made of.
    disposition = models.ForeignKey(
        "Disposition", null=True, blank=True, on_delete=models.PROTECT, related_name="labels", db_index=False
    )

    class Meta:
        constraints: ClassVar = [
            # Who outside says it again says nothing new; an analyst may come back to what they said before.
            models.UniqueConstraint(
                fields=["transaction", "source", "fraud", "raw_code"],
                condition=Q(disposition=None),
                name="label_said_once",
            ),
            models.UniqueConstraint(
                fields=["transaction", "disposition"],
                condition=Q(disposition__isnull=False),
                name="label_once_a_disposition",
            ),
            models.CheckConstraint(
                condition=Q(disposition=None) | Q(source="analyst"), name="disposition_of_an_analyst"
            ),
            models.CheckConstraint(condition=one_of("source", LabelSource), name="label_source_known"),
            models.CheckConstraint(
                condition=Q(type="") | (one_of("type", FraudType) & Q(fraud=True)), name="type_of_fraud_only"
            ),
        ]

    def __str__(self) -> str:
        return f"label {self.pk}"


class NoticeKind(models.TextChoices):
    """Why what came from outside is no label."""

    DISPUTE = "dispute", "a dispute about goods or services"
    PROCESSING = "processing", "a processing error"
    AUTHORIZATION = "authorization", "an authorization that was not had"
    PROGRAM = "program", "a chargeback program or an inquiry"
    UNMAPPED = "unmapped", "a chargeback without a known reason code"
    NOT_UPHELD = "not_upheld", "a chargeback that was not upheld"


class Notice(models.Model):
    """What became known of a transaction and says neither that it was fraud nor that it was not."""

    transaction = models.ForeignKey(Transaction, on_delete=models.PROTECT, related_name="notices")
    kind = models.CharField(max_length=13, choices=NoticeKind.choices)
    source = models.CharField(max_length=10, choices=LabelSource.choices)
    scheme = models.CharField(max_length=32, blank=True)
    raw_code = models.CharField(max_length=32, blank=True)
    known_at = models.DateTimeField()
    received_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["transaction", "source", "kind", "raw_code"], name="notice_told_once"
            ),
            models.CheckConstraint(condition=one_of("kind", NoticeKind), name="notice_kind_known"),
            models.CheckConstraint(condition=one_of("source", LabelSource), name="notice_source_known"),
        ]

    def __str__(self) -> str:
        return f"notice {self.pk}"
