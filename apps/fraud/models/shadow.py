"""What a version in shadow says of live traffic, beside the decisions and unheard by whoever sent it."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from apps.accounts.models import Site
from apps.fraud.models.decisions import Decision, Outcome
from apps.fraud.models.sources import one_of
from apps.modelops.models import FollowingRun, RunEnd


class ShadowRun(FollowingRun):
    """A version follows every decision after `after_decision`, of all sites, until `ended_at`."""

    after_decision = models.BigIntegerField()

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
    """How far a run is with a shard, a `Place` of `modelops.services.shadow`; who holds the row follows
    that shard."""

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
