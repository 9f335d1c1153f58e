"""What the outside is told of decisions and of what analysts did about them, and how that went."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from apps.fraud.models.acts import Act
from apps.fraud.models.decisions import Decision


class OutboxRow(models.Model):
    """A decision its source wants to hear of, or an act about one; written in the transaction of either.

    Due at `due_at` while it is neither delivered nor dead. `due_at` moves ahead before each attempt, so
    that one whose sender died is tried again and one that is being sent is not sent twice at a time.
    """

    topic = models.CharField(max_length=40)
    decision = models.ForeignKey(Decision, on_delete=models.PROTECT, related_name="outbox")
    # Few rows have one: without an index over those that have none, for every decision waits for its row.
    act = models.ForeignKey(
        Act, null=True, blank=True, on_delete=models.PROTECT, related_name="told", db_index=False
    )
    created_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    delivered_at = models.DateTimeField(null=True, blank=True)
    dead_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["topic", "decision"], condition=Q(act=None), name="told_once_per_topic"
            ),
            models.UniqueConstraint(fields=["act"], condition=Q(act__isnull=False), name="act_told_once"),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["due_at"], condition=Q(delivered_at=None, dead_at=None), name="outbox_waiting"
            ),
            models.Index(fields=["id"], condition=~Q(dead_at=None), name="outbox_dead"),
        ]

    def __str__(self) -> str:
        return f"{self.topic} {self.pk}"


class Delivery(models.Model):
    """One attempt to tell: the status the source answered, or why there was none."""

    row = models.ForeignKey(OutboxRow, on_delete=models.CASCADE, related_name="deliveries")
    at = models.DateTimeField()
    status = models.PositiveSmallIntegerField(null=True)
    error = models.CharField(max_length=40, blank=True)
    took_ms = models.FloatField()

    def __str__(self) -> str:
        return f"delivery {self.pk}"
