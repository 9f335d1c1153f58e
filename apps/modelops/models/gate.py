"""What a version showed at the gate, and who asked for it and agreed."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from apps.accounts.models import User
from apps.modelops.models.datasets import DatasetSnapshot
from apps.modelops.models.versions import ModelVersion


class GateRun(models.Model):
    """One look at a dataset's locked part: a version held against the champion. The table is the queue.

    `lines` are those of `ml.common.gate.GateLine`; `n` examples were looked at, 0 while none was.
    """

    class Status(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"

    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="gate_runs")
    champion = models.ForeignKey(ModelVersion, null=True, on_delete=models.PROTECT, related_name="+")
    dataset = models.ForeignKey(DatasetSnapshot, on_delete=models.PROTECT, related_name="gate_runs")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.QUEUED)
    passed = models.BooleanField(default=False)
    lines = models.JSONField(default=list)
    n = models.PositiveIntegerField(default=0)
    n_left_out = models.PositiveIntegerField(default=0)
    error_code = models.CharField(max_length=60, blank=True)
    error_message = models.TextField(blank=True)
    progress = models.JSONField(default=dict, help_text="The latest progress event.")
    fence = models.PositiveIntegerField(default=0, help_text="Grows with each claim; older holders are out.")
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    rung_at = models.DateTimeField(null=True, blank=True)
    by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["version"], condition=Q(status__in=["queued", "running"]), name="one_open_gate_run"
            )
        ]

    def __str__(self) -> str:
        return f"gate run {self.pk}"

    @property
    def is_open(self) -> bool:
        return self.status in (self.Status.QUEUED, self.Status.RUNNING)


class PromotionRequest(models.Model):
    """One person asked that a version become the champion; another decides."""

    class Status(models.TextChoices):
        OPEN = "open"
        PROMOTED = "promoted"
        REFUSED = "refused"
        WITHDRAWN = "withdrawn"

    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="promotion_requests")
    gate_run = models.ForeignKey(GateRun, on_delete=models.PROTECT, related_name="promotion_requests")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.OPEN)
    asked_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField()
    decided_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["version"], condition=Q(status="open"), name="one_open_promotion_request"
            ),
            models.CheckConstraint(
                condition=~Q(status="promoted")
                | (Q(decided_by__isnull=False) & ~Q(decided_by=F("asked_by"))),
                name="promotion_takes_two_people",
            ),
        ]

    def __str__(self) -> str:
        return f"request {self.pk} to promote {self.version}"
