"""What was sent again under a known SOPInstanceUID and is not the same, and what a study's identity was."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.db import models

from apps.accounts.models import Site, User
from apps.radiology.models.patients import PatientMerge
from apps.radiology.models.studies import Instance, Study


class CorrectionState(models.TextChoices):
    WAITING = "waiting", "waits for a person"
    APPLIED = "applied", "applied"
    REFUSED = "refused", "refused"


class Correction(models.Model):
    """The same pixels under another header. Both files and both headers stay, whatever is decided.

    `before` and `after` are `ml.radiology.contracts.InstanceHeader` as JSON. `decided_by` is empty where a
    source trusted for corrections sent it, or a person had decided the same for its study before.
    """

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    instance = models.ForeignKey(Instance, on_delete=models.PROTECT, related_name="corrections")
    before = models.JSONField()
    after = models.JSONField()
    changes_identity = models.BooleanField(help_text="Patient or study attributes differ.")
    before_sha256 = models.CharField(max_length=64, help_text="Of the file.")
    after_sha256 = models.CharField(max_length=64, help_text="Of the file.")
    before_content_sha256 = models.CharField(max_length=64)
    after_content_sha256 = models.CharField(max_length=64)
    after_bytes = models.PositiveBigIntegerField()
    state = models.CharField(max_length=8, choices=CorrectionState.choices, default=CorrectionState.WAITING)
    sender = models.CharField(max_length=150)
    received_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["instance", "after_content_sha256"],
                condition=models.Q(state="waiting"),
                name="correction_waits_once",
            )
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["site", "received_at"],
                condition=models.Q(state="waiting"),
                name="correction_waiting",
            )
        ]

    def __str__(self) -> str:
        return f"correction {self.pk}"

    @property
    def changes(self) -> list[tuple[str, str, str]]:
        """(keyword, before, after) of every attribute that differs."""
        return differences(self.before, self.after)


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, str, str]]:
    pairs = ((name, before.get(name), value) for name, value in after.items())
    return [(name, _text(was), _text(value)) for name, was, value in pairs if was != value]


def _text(value: object) -> str:
    if isinstance(value, list):
        return "\\".join(map(str, value))
    return "" if value is None else str(value)


class KeptAside(models.Model):
    """Other pixels under a known SOPInstanceUID: kept in a folder of its own, never analysed, never served as
    the film. It flags its study until a person has seen it."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    instance = models.ForeignKey(Instance, on_delete=models.PROTECT, related_name="kept_aside")
    header = models.JSONField()
    file_sha256 = models.CharField(max_length=64)
    content_sha256 = models.CharField(max_length=64)
    file_bytes = models.PositiveBigIntegerField()
    has_picture = models.BooleanField(default=False)
    sender = models.CharField(max_length=150)
    received_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True, blank=True)
    settled_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        verbose_name = "instance kept aside"
        verbose_name_plural = "instances kept aside"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["instance", "content_sha256"], name="aside_once")
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["site", "received_at"], condition=models.Q(settled_at=None), name="aside_open"
            )
        ]

    def __str__(self) -> str:
        return f"kept aside {self.pk}"


class IdentityChange(models.Model):
    """What a study's patient and study attributes were, and what they became. Rows are only added."""

    class Kind(models.TextChoices):
        CORRECTION = "correction", "corrected"
        MERGE = "merge", "merged"
        UNMERGE = "unmerge", "given back"
        MOVE = "move", "moved"

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="identity_changes")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    before = models.JSONField()
    after = models.JSONField()
    at = models.DateTimeField()
    by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    merge = models.ForeignKey(PatientMerge, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    sender = models.CharField(max_length=150, blank=True, help_text="The trusted source, if no person.")

    def __str__(self) -> str:
        return f"identity change {self.pk}"

    @property
    def changes(self) -> list[tuple[str, str, str]]:
        """(keyword, before, after) of every attribute that differs."""
        return differences(self.before, self.after)
