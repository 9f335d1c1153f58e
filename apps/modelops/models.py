"""Models, their versions, the frozen data they learnt from, and the jobs that trained them."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from apps.accounts.models import Site, User


class Model(models.Model):
    """One per domain. The champion is the version that serves."""

    domain = models.CharField(max_length=20, unique=True)
    champion = models.ForeignKey(
        "ModelVersion", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )

    def __str__(self) -> str:
        return self.domain


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


class TrainingJob(models.Model):
    """The table is the queue. Who holds the lease with the current fence may write, nobody else."""

    class Status(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        SUCCEEDED = "succeeded"
        FAILED = "failed"
        CANCELLED = "cancelled"

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="training_jobs")
    domain = models.CharField(max_length=20)
    dataset = models.ForeignKey(DatasetSnapshot, on_delete=models.PROTECT, related_name="jobs")
    preset = models.CharField(max_length=20)
    params = models.JSONField(default=dict)
    seed = models.PositiveIntegerField(default=0)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.QUEUED)
    requested_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    cancel_requested = models.BooleanField(default=False)
    fence = models.PositiveIntegerField(default=0, help_text="Grows with each claim; older holders are out.")
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    progress = models.JSONField(default=dict, help_text="The latest progress event.")
    error_code = models.CharField(max_length=60, blank=True)
    error_message = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["created_at"], condition=Q(status__in=["queued", "running"]), name="job_open_oldest"
            )
        ]

    def __str__(self) -> str:
        return f"job {self.pk}"

    @property
    def is_open(self) -> bool:
        return self.status in (self.Status.QUEUED, self.Status.RUNNING)


class JobEvent(models.Model):
    """One line of progress, in order."""

    job = models.ForeignKey(TrainingJob, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField()
    payload = models.JSONField()

    def __str__(self) -> str:
        return f"event {self.pk} of job {self.job_id}"


class ModelVersion(models.Model):
    """A trained artefact, found under VAR/artefacts by its hash."""

    model = models.ForeignKey(Model, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    artefact_hash = models.CharField(max_length=64)
    metrics = models.JSONField(default=dict)
    dataset = models.ForeignKey(DatasetSnapshot, on_delete=models.PROTECT, related_name="versions")
    job = models.OneToOneField(TrainingJob, on_delete=models.PROTECT, related_name="version")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["model", "number"], name="version_number_per_model")
        ]

    def __str__(self) -> str:
        return f"{self.model.domain} v{self.number}"


class Promotion(models.Model):
    """Who made which version the champion, and when. Rolling back is one more promotion."""

    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="promotions")
    by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.version} promoted"
