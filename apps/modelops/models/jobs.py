"""Training asked for, and what it told."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from apps.accounts.models import Site, User
from apps.core.clock import now
from apps.modelops.models.datasets import DatasetSnapshot


class CrossValidation(models.Model):
    """One configuration judged by a job for each of `folds` folds of the dataset's training part. Its jobs
    are ordinary ones that make no version: folds are for judging."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="cross_validations")
    dataset = models.ForeignKey(DatasetSnapshot, on_delete=models.PROTECT, related_name="cross_validations")
    preset = models.CharField(max_length=20)
    params = models.JSONField(default=dict)
    seed = models.PositiveIntegerField(default=0)
    folds = models.PositiveSmallIntegerField()
    requested_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(folds__range=(2, 10)), name="two_to_ten_folds")
        ]

    def __str__(self) -> str:
        return f"cross-validation {self.pk}"


class TrainingJob(models.Model):
    """The table is the queue. Who holds the lease with the current fence may write, nobody else."""

    class Status(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        PAUSED = "paused"
        SUCCEEDED = "succeeded"
        FAILED = "failed"
        CANCELLED = "cancelled"

    class Device(models.TextChoices):
        AUTO = "auto", "as the machine has it"
        CPU = "cpu", "processor"
        CUDA = "cuda", "graphics card"

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="training_jobs")
    domain = models.CharField(max_length=20)
    dataset = models.ForeignKey(DatasetSnapshot, on_delete=models.PROTECT, related_name="jobs")
    preset = models.CharField(max_length=20)
    params = models.JSONField(default=dict)
    seed = models.PositiveIntegerField(default=0)
    device = models.CharField(
        max_length=10, choices=Device.choices, default=Device.AUTO, db_default=Device.AUTO
    )
    device_slot = models.CharField(
        max_length=120, blank=True, default="", db_default="",
        help_text="The one device its holder trains on, as host/kind:index; empty for the processor.",
    )  # fmt: skip
    cross_validation = models.ForeignKey(
        CrossValidation, null=True, blank=True, on_delete=models.PROTECT, related_name="jobs"
    )
    fold = models.PositiveSmallIntegerField(null=True, blank=True, help_text="From 1, of a cross-validation.")
    measured = models.JSONField(null=True, blank=True, help_text="What its fold was measured to be.")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.QUEUED)
    requested_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    cancel_requested = models.BooleanField(default=False)
    pause_requested = models.BooleanField(default=False, db_default=False)
    fence = models.PositiveIntegerField(default=0, help_text="Grows with each claim; older holders are out.")
    attempts = models.PositiveSmallIntegerField(
        default=0, db_default=0, help_text="Claims since it last got as far as a checkpoint."
    )
    queued_at = models.DateTimeField(
        default=now, db_default=Now(), help_text="Its place in the queue; behind the others after each claim."
    )
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    progress = models.JSONField(default=dict, help_text="The latest progress event.")
    checkpoint_at = models.DateTimeField(
        null=True, blank=True, help_text="When it was last kept how far it got; empty if nothing is."
    )
    error_code = models.CharField(max_length=60, blank=True)
    error_message = models.TextField(blank=True)
    unseen = models.BooleanField(
        default=False, db_default=False, help_text="It is over and who asked for it has not looked yet."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["queued_at", "id"],
                condition=Q(status__in=["queued", "running"]),
                name="job_open_in_turn",
            ),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["device_slot"],
                condition=Q(status="running") & ~Q(device_slot=""),
                name="one_running_job_a_device",
            ),
            models.UniqueConstraint(fields=["cross_validation", "fold"], name="one_job_a_fold"),
            models.CheckConstraint(
                condition=Q(cross_validation=None, fold=None)
                | Q(cross_validation__isnull=False, fold__isnull=False, fold__gte=1),
                name="a_fold_is_of_a_cross_validation",
            ),
        ]

    def __str__(self) -> str:
        return f"job {self.pk}"

    @property
    def is_open(self) -> bool:
        """Whether it still comes to something by itself."""
        return self.status in (self.Status.QUEUED, self.Status.RUNNING)

    @property
    def can_resume(self) -> bool:
        return self.status in (self.Status.PAUSED, self.Status.FAILED, self.Status.CANCELLED)


class JobEvent(models.Model):
    """One line of progress, in order."""

    job = models.ForeignKey(TrainingJob, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField()
    payload = models.JSONField()

    def __str__(self) -> str:
        return f"event {self.pk} of job {self.job_id}"
