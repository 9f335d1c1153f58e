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

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["transaction", "source", "fraud", "raw_code"], name="label_said_once"
            ),
            models.CheckConstraint(condition=one_of("source", LabelSource), name="label_source_known"),
            models.CheckConstraint(
                condition=Q(type="") | (one_of("type", FraudType) & Q(fraud=True)), name="type_of_fraud_only"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["-id"], condition=Q(source="analyst"), name="labels_of_analysts")
        ]

    def __str__(self) -> str:
        return f"label {self.pk}"
