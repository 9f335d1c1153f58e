from __future__ import annotations

from django.db import models

from apps.accounts.models import Site


class DicomNode(models.Model):
    """A device or program that may send to the DICOM listener, known by its AE title."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="dicom_nodes")
    AETitle = models.CharField("AE title", max_length=16, unique=True)
    is_active = models.BooleanField(default=True)
    trusted_for_corrections = models.BooleanField(
        default=False,
        help_text="Other patient and study data of known films are taken over unasked.",
    )

    class Meta:
        verbose_name = "DICOM node"

    def __str__(self) -> str:
        return self.AETitle
