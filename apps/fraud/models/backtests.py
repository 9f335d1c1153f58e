"""Rules asked of history: what is asked, how far it has come and the sums so far."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from apps.accounts.models import Site, User
from apps.fraud.models.sources import one_of


class BacktestState(models.TextChoices):
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    CANCELLED = "cancelled", "Cancelled"
    FAILED = "failed", "Failed"


class Backtest(models.Model):
    """It goes on from `at_id`, the key of the last decision that is in `tally`, to `last_id`."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    rules = models.JSONField(help_text="As in a rule set, saved or not.")
    version = models.PositiveIntegerField(null=True, help_text="The rule set's number; none for a draft.")
    days = models.PositiveSmallIntegerField()
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField()
    state = models.CharField(max_length=9, choices=BacktestState.choices, default=BacktestState.RUNNING)
    first_id = models.BigIntegerField()
    at_id = models.BigIntegerField()
    last_id = models.BigIntegerField()
    tally = models.JSONField()
    seconds = models.FloatField(default=0)
    moved_at = models.DateTimeField()
    fault = models.CharField(max_length=100, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=one_of("state", BacktestState), name="backtest_state_known"),
            models.CheckConstraint(
                condition=Q(first_id__lte=F("at_id"), at_id__lte=F("last_id")), name="backtest_on_its_way"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["site", "-id"], name="backtest_newest"),
            models.Index(fields=["moved_at"], condition=Q(state="running"), name="backtest_running"),
        ]

    def __str__(self) -> str:
        return f"backtest {self.public_id}"

    @property
    def share(self) -> float:
        """How much of the way is behind it, 0 to 1."""
        whole = self.last_id - self.first_id
        return (self.at_id - self.first_id) / whole if whole else 1.0
