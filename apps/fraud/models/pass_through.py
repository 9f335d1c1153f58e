"""A random sample of what the model would decline, let through so that it becomes known what it was."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from apps.accounts.models import Site, User
from apps.fraud.models.decisions import Decision


class PassThroughPolicy(models.Model):
    """What one person proposes: never changed, and without effect until another switches it on."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    number = models.PositiveIntegerField()
    probability = models.FloatField()
    daily_cap_minor = models.BigIntegerField(help_text="In minor units of the reporting currency.")
    note = models.CharField(max_length=300)
    proposed_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    proposed_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["site", "number"], name="pass_policy_number_per_site"),
            models.CheckConstraint(
                condition=Q(probability__gt=0, probability__lte=1), name="pass_probability_in_range"
            ),
            models.CheckConstraint(condition=Q(daily_cap_minor__gt=0), name="pass_cap_above_zero"),
        ]

    def __str__(self) -> str:
        return f"pass-through policy {self.number}"


class PassThroughSwitch(models.Model):
    """Who switched which policy on and when; the newest holds. No policy: off, as every site begins."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    policy = models.ForeignKey(
        PassThroughPolicy, null=True, on_delete=models.PROTECT, related_name="switches"
    )
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["site", "-id"], name="pass_switch_newest")]

    def __str__(self) -> str:
        return f"pass-through switch {self.pk}"


class PassThroughDay(models.Model):
    """What was drawn at a site on a business day, let through or not: beyond the cap nothing more is.

    Its row is the lock that draws of one day queue at.
    """

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    day = models.DateField()
    drawn_minor = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["site", "day"], name="pass_day_per_site")]

    def __str__(self) -> str:
        return f"pass-through of {self.day}"


class PassThrough(models.Model):
    """A decision that lets through what the model would have declined, and how likely that was."""

    decision = models.OneToOneField(
        Decision, on_delete=models.PROTECT, primary_key=True, related_name="pass_through"
    )
    policy = models.ForeignKey(PassThroughPolicy, on_delete=models.PROTECT, related_name="+")
    probability = models.FloatField()
    amount_minor = models.BigIntegerField(help_text="In minor units of the reporting currency.")

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(probability__gt=0, probability__lte=1, amount_minor__gte=0),
                name="pass_through_in_range",
            ),
        ]

    def __str__(self) -> str:
        return f"pass-through of decision {self.decision_id}"
