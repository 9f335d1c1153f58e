"""Rejection notes (IHE IOCM): Key Object Selection documents that say which instances are not to be used."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q

from apps.accounts.models import Site, User


class RejectionCode(models.TextChoices):
    """The document titles of IOCM, in DCM codes (PS3.16, CID 7011)."""

    QUALITY = "113001", "Rejected for quality reasons"
    SAFETY = "113037", "Rejected for patient safety reasons"
    WORKLIST = "113038", "Incorrect modality worklist entry"
    RETENTION = "113039", "Data retention policy expired"


class RejectionNote(models.Model):
    """The document's file lies in the film store under `file_sha256`."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    SOPInstanceUID = models.CharField(max_length=64)
    code = models.CharField(max_length=6, choices=RejectionCode.choices)
    file_sha256 = models.CharField(max_length=64)
    content_sha256 = models.CharField(max_length=64)
    sender = models.CharField(max_length=150)
    received_at = models.DateTimeField()
    undone_at = models.DateTimeField(null=True, blank=True)
    undone_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["site", "SOPInstanceUID"], name="rejection_note_per_site")
        ]
        indexes: ClassVar = [models.Index(fields=["site", "-received_at"], name="rejection_note_latest")]

    def __str__(self) -> str:
        return f"rejection note {self.pk}"

    @property
    def may_be_undone(self) -> bool:
        """IOCM leaves the use of what was rejected for its quality to the site; of the rest it does not."""
        return self.code == RejectionCode.QUALITY and self.undone_at is None


class Rejection(models.Model):
    """One instance that a note names, here already or not. In force until `ended_at`."""

    note = models.ForeignKey(RejectionNote, on_delete=models.PROTECT, related_name="rejections")
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    SOPInstanceUID = models.CharField(max_length=64)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["note", "SOPInstanceUID"], name="rejection_once")
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["site", "SOPInstanceUID"], condition=Q(ended_at=None), name="rejection_in_force"
            )
        ]

    def __str__(self) -> str:
        return f"rejection {self.pk}"
