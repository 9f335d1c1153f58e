"""What was trained, which version stands where, and who put it there."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from apps.accounts.models import User
from apps.modelops.models.datasets import DatasetSnapshot
from apps.modelops.models.jobs import TrainingJob


class Model(models.Model):
    """One per domain: which version stands where. `services.promotion` alone moves them, under its lock.

    The champion serves; `previous` is what one person may roll back to; the challenger is what somebody asked
    to promote; `shadow` scores live traffic beside the champion and decides nothing.
    """

    domain = models.CharField(max_length=20, unique=True)
    champion = models.ForeignKey(
        "ModelVersion", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    previous = models.ForeignKey(
        "ModelVersion", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    challenger = models.ForeignKey(
        "ModelVersion", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    shadow = models.ForeignKey(
        "ModelVersion", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )

    def __str__(self) -> str:
        return self.domain


class ModelVersion(models.Model):
    """A trained artefact, found under VAR/artefacts by its hash."""

    model = models.ForeignKey(Model, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    artefact_hash = models.CharField(max_length=64)
    metrics = models.JSONField(default=dict)
    variant = models.CharField(
        max_length=20, blank=True, default="", db_default="",
        help_text="Which form of the model serves; empty for the only one.",
    )  # fmt: skip
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
