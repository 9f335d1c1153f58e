"""When a site trains a domain's model anew by itself, and what came of each reason to."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from apps.accounts.models import Site, User
from apps.modelops.models.datasets import Freeze
from apps.modelops.models.jobs import TrainingJob


class RetrainingPolicy(models.Model):
    """One per site and domain. What it starts ends in a candidate; it promotes nothing.

    Whoever changed it last answers for what it starts.
    """

    class Calendar(models.TextChoices):
        NEVER = "", "never"
        WEEKLY = "weekly", "every week"
        MONTHLY = "monthly", "every month"

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="retraining_policies")
    domain = models.CharField(max_length=20)
    enabled = models.BooleanField(default=False)
    labels_min = models.PositiveIntegerField(null=True, help_text="So many since the last dataset.")
    alarms = models.JSONField(default=list, help_text="The measures whose alarm starts it.")
    calendar = models.CharField(max_length=7, choices=Calendar.choices, blank=True)
    weekday = models.PositiveSmallIntegerField(default=0, help_text="0 is Monday.")
    day = models.PositiveSmallIntegerField(default=1, help_text="Of the month, 1 to 28.")
    hour = models.PositiveSmallIntegerField(default=2, help_text="By the site's clock.")
    preset = models.CharField(max_length=20)
    includes = models.JSONField(default=list, help_text="Which of what the domain offers to include.")
    min_days = models.PositiveSmallIntegerField(default=7, help_text="From one start to the next.")
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(help_text="When it was changed last: what fell due before is no reason.")
    looked_at = models.DateTimeField(null=True, help_text="When the sweeper looked last.")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["site", "domain"], name="one_retraining_policy")
        ]

    def __str__(self) -> str:
        return f"retraining of {self.domain}"


class Retraining(models.Model):
    """A reason to train anew, and what came of it. `key` names the reason: none counts twice."""

    class Reason(models.TextChoices):
        LABELS = "labels", "new labels"
        ALARM = "alarm", "an alarm"
        CALENDAR = "calendar", "the calendar"

    class State(models.TextChoices):
        HELD = "held", "held back"
        FREEZING = "freezing", "freezing a dataset"
        STARTED = "started"
        SKIPPED = "skipped"
        FAILED = "failed"

    policy = models.ForeignKey(RetrainingPolicy, on_delete=models.PROTECT, related_name="retrainings")
    reason = models.CharField(max_length=8, choices=Reason.choices)
    key = models.CharField(max_length=80)
    sentence = models.CharField(max_length=300, help_text="The reason in words.")
    state = models.CharField(max_length=8, choices=State.choices, default=State.HELD)
    says = models.CharField(max_length=300, blank=True, help_text="Why it is held back, skipped, or failed.")
    at = models.DateTimeField()
    began_at = models.DateTimeField(null=True, help_text="When its dataset was asked for.")
    freeze = models.OneToOneField(Freeze, null=True, on_delete=models.PROTECT, related_name="+")
    job = models.OneToOneField(TrainingJob, null=True, on_delete=models.PROTECT, related_name="retraining")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["policy", "key"], name="no_reason_twice"),
            models.UniqueConstraint(
                fields=["policy"], condition=Q(state="freezing"), name="one_retraining_at_a_time"
            ),
        ]

    def __str__(self) -> str:
        return f"retraining {self.pk}: {self.key}"
