"""Frozen data, what of it may never teach again, and what is being frozen."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from apps.accounts.models import Site, User

HELD_OUT = [("test", "test"), ("gate", "gate")]


class DatasetSnapshot(models.Model):
    """A frozen, immutable folder of examples under VAR/datasets."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="datasets")
    domain = models.CharField(max_length=20)
    name = models.SlugField(max_length=60)
    manifest_sha256 = models.CharField(max_length=64)
    summary = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["site", "domain", "name"], name="dataset_name_per_site")
        ]

    def __str__(self) -> str:
        return f"{self.domain}/{self.name}"


class HeldOutCase(models.Model):
    """A case that tested, or stood at the gate, in a dataset: no later one trains or chooses on it."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="held_out_cases")
    domain = models.CharField(max_length=20)
    key = models.CharField(max_length=80, help_text="What the domain tells its cases apart by; no identity.")
    part = models.CharField(max_length=4, choices=HELD_OUT)
    dataset = models.ForeignKey(DatasetSnapshot, on_delete=models.PROTECT, related_name="held_out_cases")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["site", "domain", "key"], name="held_out_once")
        ]

    def __str__(self) -> str:
        return f"{self.part} of {self.dataset_id}"


class HeldOutPeriod(models.Model):
    """As a case, of a domain that is split by time: [begins_at, ends_at) of one stream of events."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="held_out_periods")
    domain = models.CharField(max_length=20)
    stream = models.CharField(max_length=60, blank=True, help_text="Blank: what the site itself saw.")
    part = models.CharField(max_length=4, choices=HELD_OUT)
    begins_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    dataset = models.ForeignKey(DatasetSnapshot, on_delete=models.PROTECT, related_name="held_out_periods")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["site", "domain", "stream", "part", "begins_at", "ends_at"],
                name="held_out_period_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.part} of {self.dataset_id}"


class Freeze(models.Model):
    """A dataset being frozen in the background, asked for from a page."""

    class State(models.TextChoices):
        WAITING = "waiting"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="freezes")
    domain = models.CharField(max_length=20)
    name = models.SlugField(max_length=60)
    includes = models.JSONField(default=list, help_text="Which of what the domain offers to include.")
    base = models.ForeignKey(
        DatasetSnapshot, null=True, blank=True, on_delete=models.PROTECT, related_name="+",
        help_text="Brought along: its examples come too.",
    )  # fmt: skip
    state = models.CharField(max_length=7, choices=State.choices, default=State.WAITING)
    tries = models.PositiveSmallIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0, help_text="0 while that is not known.")
    fault = models.CharField(max_length=300, blank=True, help_text="Why it failed, as a sentence.")
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField()
    moved_at = models.DateTimeField()
    dataset = models.OneToOneField(
        DatasetSnapshot, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["site", "domain"], condition=Q(state__in=["waiting", "running"]), name="one_freeze"
            )
        ]

    def __str__(self) -> str:
        return f"freeze {self.pk}"

    @property
    def is_open(self) -> bool:
        return self.state in (self.State.WAITING, self.State.RUNNING)
