"""An analyst's unit of work: one card's open alerts of one kind, taken and settled together."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from apps.accounts.models import Site, User
from apps.fraud.models.sources import one_of


class Desk(models.TextChoices):
    """What is at stake: money that may leave, or a customer who was turned away."""

    LOSS = "loss", "Loss"
    FRICTION = "friction", "Declined customers"


class WorkItem(models.Model):
    """`at_stake_minor` ranks it: over its open alerts the sum of what a wrong decision is expected to cost.

    On the loss desk that is score x amount, the fraud let through; on the other (1 - score) x amount, the
    honest payments turned away. Sums, counts and due time are those of the open alerts alone.
    """

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    desk = models.CharField(max_length=8, choices=Desk.choices)
    card_token = models.CharField(max_length=128)
    alert_count = models.PositiveIntegerField()
    amount_reporting_minor = models.BigIntegerField()
    at_stake_minor = models.BigIntegerField()
    opened_at = models.DateTimeField()
    due_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    locked_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    locked_until = models.DateTimeField(null=True, blank=True)
    assignee = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    snoozed_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["site", "desk", "card_token"],
                condition=Q(closed_at=None),
                name="one_open_item_a_card",
            ),
            models.CheckConstraint(condition=one_of("desk", Desk), name="desk_known"),
            models.CheckConstraint(
                condition=Q(at_stake_minor__gte=0, amount_reporting_minor__gte=0), name="stake_not_negative"
            ),
            models.CheckConstraint(
                condition=Q(closed_at=None, alert_count__gt=0) | Q(closed_at__isnull=False, alert_count=0),
                name="item_open_while_alerts_are",
            ),
            models.CheckConstraint(
                condition=Q(locked_by=None, locked_until=None)
                | Q(locked_by__isnull=False, locked_until__isnull=False),
                name="item_locked_by_and_until",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["site", "desk", "-at_stake_minor", "-id"],
                condition=Q(closed_at=None),
                name="items_by_stake",
            ),
            models.Index(fields=["site", "desk", "due_at"], condition=Q(closed_at=None), name="items_by_due"),
        ]

    def __str__(self) -> str:
        return f"work item {self.pk}"
