"""What takes a payment back, and how much of it was taken off the amounts of the payment's card."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from apps.fraud.models.transactions import Transaction


class Reversal(models.Model):
    """Stored with its event. `original` once the payment is known here, `taken_minor` (in the reporting
    currency) once the card's state heard of it: 0 where the payment never moved it or nothing was left."""

    transaction = models.OneToOneField(
        Transaction, on_delete=models.PROTECT, primary_key=True, related_name="reversal"
    )
    original = models.ForeignKey(Transaction, on_delete=models.PROTECT, null=True, related_name="reversals")
    shard = models.PositiveSmallIntegerField()
    taken_minor = models.BigIntegerField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(taken_minor=None) | Q(taken_minor__gte=0, original__isnull=False),
                name="taken_from_an_original",
            )
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["shard"],
                condition=Q(taken_minor=None, original__isnull=False),
                name="reversal_unheard",
            ),
            models.Index(fields=["transaction"], condition=Q(original=None), name="reversal_unmatched"),
        ]

    def __str__(self) -> str:
        return f"reversal {self.transaction_id}"
