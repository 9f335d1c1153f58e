"""What a version in shadow says of live traffic, beside the decisions and unheard by whoever sent it."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from apps.accounts.models import Site, User
from apps.fraud.models.decisions import Decision, Outcome
from apps.fraud.models.sources import one_of
from apps.modelops.models import ModelVersion


class RunEnd(models.TextChoices):
    STOPPED = "stopped", "stopped"
    REPLACED = "replaced", "another version took its place"
    PROMOTED = "promoted", "it was put in service"


class ShadowRun(models.Model):
    """A version follows every decision after `after_decision`, of all sites, until `ended_at`.

    `trouble`: why it does not get on, in words; empty while it does.
    """

    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="+")
    after_decision = models.BigIntegerField()
    started_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    started_at = models.DateTimeField()
    ended_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    ended_at = models.DateTimeField(null=True)
    end = models.CharField(max_length=8, choices=RunEnd.choices, blank=True)
    trouble = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["version"], condition=Q(ended_at=None), name="one_open_run_of_a_version"
            ),
            models.CheckConstraint(
                condition=Q(ended_at=None, end="") | (Q(ended_at__isnull=False) & one_of("end", RunEnd)),
                name="run_end_known",
            ),
        ]

    def __str__(self) -> str:
        return f"shadow run {self.pk}"


class ShadowCursor(models.Model):
    """How far a run is with a shard; who holds the row follows that shard.

    Every decision up to `through` that there will ever be is scored; of those up to `seen` whatever could be
    seen then. Whoever might still write one with a smaller key began before transaction `fence` (0: not
    known yet).
    """

    run = models.ForeignKey(ShadowRun, on_delete=models.CASCADE, related_name="cursors", db_index=False)
    shard = models.PositiveSmallIntegerField()
    through = models.BigIntegerField()
    seen = models.BigIntegerField()
    fence = models.BigIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["run", "shard"], name="one_cursor_per_shard")
        ]

    def __str__(self) -> str:
        return f"cursor of shard {self.shard} in run {self.run_id}"


class ShadowMemory(models.Model):
    """What the version's own network remembers of a card: little-endian float32. Goes with the run's end."""

    run = models.ForeignKey(ShadowRun, on_delete=models.CASCADE, related_name="+", db_index=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+", db_index=False)
    card_token = models.CharField(max_length=128)
    hidden = models.BinaryField(default=bytes)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["run", "site", "card_token"], name="one_memory_per_card")
        ]

    def __str__(self) -> str:
        return f"memory {self.pk} of run {self.run_id}"


class ShadowScore(models.Model):
    """What the version says of one decision, at the thresholds that held for it then.

    `by_score`: what its score alone asks for; `would_be`: with the rules and lists that fired. Without a
    score it could not tell, and the rules alone are in it.
    """

    run = models.ForeignKey(ShadowRun, on_delete=models.PROTECT, related_name="scores", db_index=False)
    decision = models.ForeignKey(Decision, on_delete=models.PROTECT, related_name="+", db_index=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+", db_index=False)
    score = models.FloatField(null=True)
    by_score = models.CharField(max_length=7, choices=Outcome.choices, blank=True)
    would_be = models.CharField(max_length=7, choices=Outcome.choices)
    review_threshold = models.FloatField()
    decline_threshold = models.FloatField()
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["decision", "run"], name="one_shadow_score_per_run"),
            models.CheckConstraint(condition=one_of("would_be", Outcome), name="would_be_known"),
            models.CheckConstraint(
                condition=Q(score=None, by_score="")
                | (Q(score__gte=0, score__lte=1) & one_of("by_score", Outcome)),
                name="shadow_score_in_range",
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["run", "site", "-decision"], name="shadow_newest")]

    def __str__(self) -> str:
        return f"shadow score of decision {self.decision_id}"


class ShadowCount(models.Model):
    """How many decisions of a site and day (the house's) were this and would have been that; written with the
    scores."""

    run = models.ForeignKey(ShadowRun, on_delete=models.CASCADE, related_name="counts", db_index=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+", db_index=False)
    day = models.DateField()
    was = models.CharField(max_length=7, choices=Outcome.choices)
    would_be = models.CharField(max_length=7, choices=Outcome.choices)
    n = models.PositiveBigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["run", "site", "day", "was", "would_be"], name="shadow_counted_once"
            ),
            models.CheckConstraint(
                condition=one_of("was", Outcome) & one_of("would_be", Outcome), name="shadow_outcomes_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.was} that would have been {self.would_be} on {self.day}"
