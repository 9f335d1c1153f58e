"""What is made of a study's findings for others to keep: a structured report, secondary captures."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q

from apps.accounts.models import Site
from apps.radiology.models.studies import Analysis, Instance, Study


class ResultKind(models.TextChoices):
    REPORT = "sr", "structured report"
    CAPTURE = "sc", "secondary capture"


class Result(models.Model):
    """One DICOM object of ours. Its file lies in the film store under `file_sha256`, beside the films.

    `basis` is what it rests on, as `basis_of` puts it: where that is another now, the
    object is no longer given out, superseded already or not.
    """

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="results")
    instance = models.ForeignKey(
        Instance, null=True, blank=True, on_delete=models.PROTECT, related_name="+",
        help_text="The film that a capture shows; empty for a report.",
    )  # fmt: skip
    kind = models.CharField(max_length=2, choices=ResultKind.choices)
    SOPClassUID = models.CharField(max_length=64)
    SOPInstanceUID = models.CharField(max_length=64)
    SeriesInstanceUID = models.CharField(max_length=64)
    TransferSyntaxUID = models.CharField(max_length=64)
    file_sha256 = models.CharField(max_length=64)
    file_bytes = models.PositiveBigIntegerField()
    basis = models.CharField(max_length=64)
    analyses = models.ManyToManyField(Analysis, related_name="+")
    made_at = models.DateTimeField()
    superseded_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["site", "SOPInstanceUID"], name="result_per_site"),
            models.UniqueConstraint(
                fields=["study"], condition=Q(kind="sr", superseded_at=None), name="one_report_in_force"
            ),
            models.UniqueConstraint(
                fields=["study", "instance"],
                condition=Q(kind="sc", superseded_at=None),
                name="one_capture_in_force",
            ),
        ]

    def __str__(self) -> str:
        return f"result {self.pk}"
