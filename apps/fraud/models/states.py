"""The running states a decision is made from, what they have not heard of yet, and what they heard when."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from apps.accounts.models import Site
from apps.fraud.models.labels import FraudLabel
from apps.fraud.models.reversals import Reversal
from apps.fraud.models.transactions import Transaction


class KeyState(models.Model):
    """The running state of a card, terminal, merchant or device as opaque versioned bytes.

    `key` is the kind, a colon, and its token or id (`ml.fraud.memory`). `artefact_hash`: of a card, whose
    network wrote its memory.
    """

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+", db_index=False)
    key = models.CharField(max_length=140)
    state = models.BinaryField(default=bytes)
    artefact_hash = models.CharField(max_length=64, blank=True)
    version = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["site", "key"], name="one_state_per_key")]

    def __str__(self) -> str:
        return f"state {self.pk}"


class LateState(models.Model):
    """A transaction decided without moving the states: the shard's worker lets them know of it, once."""

    transaction = models.OneToOneField(
        Transaction, on_delete=models.PROTECT, primary_key=True, related_name="+"
    )
    shard = models.PositiveSmallIntegerField(db_index=True)

    def __str__(self) -> str:
        return f"late state of transaction {self.transaction_id}"


class HeardLater(models.Model):
    """What the states heard of between decisions: a payment decided without them, a label, or a reversal.

    Written under the locks it moved the states under: for any one card or terminal it comes after every
    decision up to `after_decision` and before all later ones, and among its like in the order of its key.
    """

    transaction = models.ForeignKey(Transaction, on_delete=models.PROTECT, null=True, related_name="+")
    label = models.ForeignKey(FraudLabel, on_delete=models.PROTECT, null=True, related_name="+")
    reversal = models.ForeignKey(Reversal, on_delete=models.PROTECT, null=True, related_name="+")
    after_decision = models.BigIntegerField()
    artefact_hash = models.CharField(max_length=64, blank=True)
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(transaction=None, label__isnull=False, reversal=None)
                | Q(transaction=None, label=None, reversal__isnull=False)
                | Q(label=None, reversal=None, transaction__isnull=False) & ~Q(artefact_hash=""),
                name="heard_of_one_thing",
            )
        ]

    def __str__(self) -> str:
        return f"heard later {self.pk}"


class UnheardLabel(models.Model):
    """A label the running states have not heard of yet; the shard's worker tells them, once."""

    label = models.OneToOneField(FraudLabel, on_delete=models.PROTECT, primary_key=True, related_name="+")
    shard = models.PositiveSmallIntegerField(db_index=True)

    def __str__(self) -> str:
        return f"unheard label {self.label_id}"
