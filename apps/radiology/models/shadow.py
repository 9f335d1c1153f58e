"""What a version in shadow says of the films the champion judged, kept apart from what readers see."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from apps.accounts.models import Site
from apps.modelops.models import FollowingRun, RunEnd
from apps.radiology.models.studies import Analysis, Finding


class ShadowState(models.TextChoices):
    SCORED = "scored", "scored"
    NOT_ITS = "not_its", "not its to judge"
    FAILED = "failed", "failed"


class ShadowRun(FollowingRun):
    """A version follows every analysis after `after_analysis`, of all sites, until `ended_at`. How far it is
    say `through`, `seen` and `fence`, a `Place` of `modelops.services.shadow`."""

    after_analysis = models.BigIntegerField()
    through = models.BigIntegerField()
    seen = models.BigIntegerField()
    fence = models.BigIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["version"], condition=Q(ended_at=None), name="one_open_film_run_of_a_version"
            ),
            models.CheckConstraint(
                condition=Q(ended_at=None, end="") | Q(ended_at__isnull=False, end__in=RunEnd.values),
                name="film_run_end_known",
            ),
        ]

    def __str__(self) -> str:
        return f"shadow run {self.pk}"


class ShadowAnalysis(models.Model):
    """What the version says of one analysed film; it goes with the film.

    `was_raised` and `raised`: whether anything is called, by the version in service then and by this one.
    Without a score `reason` says why: the film is not the version's to judge, or could not be put to it.
    """

    run = models.ForeignKey(ShadowRun, on_delete=models.PROTECT, related_name="analyses", db_index=False)
    analysis = models.ForeignKey(Analysis, on_delete=models.CASCADE, related_name="+", db_index=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+", db_index=False)
    state = models.CharField(max_length=7, choices=ShadowState.choices)
    reason_code = models.CharField(max_length=40, blank=True)
    reason = models.CharField(max_length=200, blank=True)
    was_raised = models.BooleanField()
    raised = models.BooleanField(default=False)
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["analysis", "run"], name="one_shadow_analysis_per_run"),
            models.CheckConstraint(
                condition=Q(state=ShadowState.SCORED, reason_code="")
                | (Q(state__in=[ShadowState.NOT_ITS, ShadowState.FAILED], raised=False) & ~Q(reason_code="")),
                name="shadow_analysis_state_known",
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["run", "site", "-analysis"], name="film_shadow_newest")]

    def __str__(self) -> str:
        return f"shadow analysis {self.pk}"


class ShadowFinding(models.Model):
    """One finding of it. `beside`: what the version in service says of the same, if it knows that finding."""

    shadow = models.ForeignKey(
        ShadowAnalysis, on_delete=models.CASCADE, related_name="findings", db_index=False
    )
    beside = models.ForeignKey(Finding, null=True, on_delete=models.CASCADE, related_name="+")
    label = models.CharField(max_length=64)
    probability = models.FloatField()
    operating_point = models.FloatField(null=True)
    positive = models.BooleanField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["shadow", "label"], name="shadow_finding_per_label"),
            models.CheckConstraint(
                condition=Q(probability__gte=0, probability__lte=1), name="shadow_is_probability"
            ),
        ]

    def __str__(self) -> str:
        return f"shadow finding {self.pk}"
