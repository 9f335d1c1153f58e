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
    job = models.OneToOneField(
        TrainingJob, null=True, on_delete=models.PROTECT, related_name="version",
        help_text="Empty: it was imported.",
    )  # fmt: skip
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["model", "number"], name="version_number_per_model")
        ]

    def __str__(self) -> str:
        return f"{self.model.domain} v{self.number}"

    @property
    def tested_on(self) -> int | None:
        """The dataset its test is part of; None where that lies in another installation."""
        imported = ImportedVersion.objects.filter(version=self, learnt_here=False)
        return None if self.job_id is None and imported.exists() else self.dataset_id


class ImportedVersion(models.Model):
    """Where a version comes from that was trained elsewhere, as its archive says and a trusted key signed.

    The version's own dataset is the one of this site whose locked part it is held against.
    """

    version = models.OneToOneField(ModelVersion, on_delete=models.PROTECT, related_name="origin")
    key = models.CharField(max_length=64, help_text="The public key that signed the archive, hexadecimal.")
    statement_sha256 = models.CharField(max_length=64)
    number = models.PositiveIntegerField(help_text="What it is called where it was trained.")
    made_at = models.DateTimeField()
    dataset_name = models.CharField(max_length=64)
    dataset_sha256 = models.CharField(max_length=64, help_text="Of the manifest of what it learnt from.")
    dataset_summary = models.JSONField(default=dict)
    training = models.JSONField(default=dict, help_text="preset, params, seed")
    learnt_here = models.BooleanField(help_text="What it learnt from is a dataset of this site as well.")
    by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"origin of {self.version}"


class Promotion(models.Model):
    """Who made which version the champion, and when. Rolling back is one more promotion."""

    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="promotions")
    by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.version} promoted"
