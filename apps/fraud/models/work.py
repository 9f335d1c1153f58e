"""An analyst's unit of work: one card's open alerts of one kind, taken and settled together."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from django.db import models
from django.db.models import Q

from apps.accounts.models import Site, User
from apps.core.saved_views import SavedView
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
    escalated_at = models.DateTimeField(null=True, blank=True)

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
            models.Index(
                fields=["site", "desk", "snoozed_until"],
                condition=Q(closed_at=None, snoozed_until__isnull=False),
                name="items_snoozed",
            ),
            models.Index(
                fields=["site", "desk", "-at_stake_minor", "-id"],
                condition=Q(closed_at=None, escalated_at__isnull=False),
                name="items_escalated",
            ),
            # Else who was given nothing would be looked for among all that wait.
            models.Index(
                fields=["assignee", "-at_stake_minor", "-id"],
                condition=Q(closed_at=None, assignee__isnull=False),
                name="items_given",
            ),
        ]

    def __str__(self) -> str:
        return f"work item {self.pk}"

    def is_held(self, at: datetime) -> bool:
        """Whether somebody's lock on it is in force."""
        return self.locked_until is not None and self.locked_until > at


class Move(models.TextChoices):
    ASSIGN = "assign", "given"
    ESCALATE = "escalate", "escalated"
    SNOOZE = "snooze", "put off"


class WorkMove(models.Model):
    """An item left to somebody else, or to later, and why. Added, never changed."""

    item = models.ForeignKey(WorkItem, on_delete=models.PROTECT, related_name="moves")
    kind = models.CharField(max_length=8, choices=Move.choices)
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    to = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    until = models.DateTimeField(null=True)
    note = models.CharField(max_length=300, blank=True)
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=one_of("kind", Move), name="move_known"),
            models.CheckConstraint(
                condition=~Q(kind="escalate") | (Q(to__isnull=False) & ~Q(note="")),
                name="escalated_to_somebody_for_a_reason",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of work item {self.item_id}"


class DeskBudget(models.Model):
    """How many alerts a desk reviews a day, and what more of them would bring as far as is known.

    `figures` were worked out at `worked_out_at` from what `basis` names; another basis makes them stale.
    """

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    desk = models.CharField(max_length=8, choices=Desk.choices)
    alerts_per_day = models.PositiveIntegerField()
    set_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    set_at = models.DateTimeField(null=True)
    figures = models.JSONField(default=dict)
    basis = models.CharField(max_length=160, blank=True)
    worked_out_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["site", "desk"], name="one_budget_a_desk"),
            models.CheckConstraint(condition=one_of("desk", Desk), name="budget_desk_known"),
        ]

    def __str__(self) -> str:
        return f"budget of {self.desk} at site {self.site_id}"


class QueueView(SavedView):
    """An analyst's own name for filters of the queue, as in its address."""

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["user", "name"], name="queue_view_per_name")]
