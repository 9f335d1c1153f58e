"""What radiologists said: the read, each mark with its time, who reads at the moment."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q

from apps.accounts.models import Site, User
from apps.modelops.models import ModelVersion
from apps.radiology.models.studies import Study


class ReadState(models.TextChoices):
    DRAFT = "draft", "draft"
    PRELIMINARY = "preliminary", "preliminary"
    FINAL = "final", "final"
    AMENDED = "amended", "amended"
    RETRACTED = "retracted", "retracted"


SIGNED = (ReadState.FINAL, ReadState.AMENDED)


class Exposure(models.TextChoices):
    """What of the model's answer the reader could know before the commit."""

    NONE = "none", "none"
    RANK = "rank", "whether it raised the study"
    FULL = "full", "its findings"


class Verdict(models.TextChoices):
    PRESENT = "present", "present"
    ABSENT = "absent", "absent"
    UNSURE = "unsure", "unsure"


class Side(models.TextChoices):
    """The patient's."""

    RIGHT = "R", "right"
    LEFT = "L", "left"
    BOTH = "B", "both"


class ReadingPolicy(models.Model):
    """Of a site without one, what the model says opens once the reader has committed."""

    site = models.OneToOneField(Site, on_delete=models.PROTECT, related_name="reading_policy")
    concurrent = models.BooleanField(
        default=False, help_text="Show what the model says before the radiologist has said anything."
    )
    analyses_priors = models.BooleanField(
        default=False, db_default=False, help_text="Let the model judge films that were fetched to compare."
    )

    class Meta:
        verbose_name_plural = "reading policies"

    def __str__(self) -> str:
        return f"reading at {self.site_id}"


class StudyLock(models.Model):
    """Who reads the study now. One that has expired is nobody's."""

    study = models.OneToOneField(Study, on_delete=models.CASCADE, related_name="lock")
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    taken_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"lock of study {self.study_id}"


class Read(models.Model):
    """One radiologist's read of one study. `text` is the report."""

    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="reads")
    reader = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    state = models.CharField(max_length=12, choices=ReadState.choices, default=ReadState.DRAFT)
    concurrent = models.BooleanField(default=False, help_text="The model's answer was open from the start.")
    ai_exposure = models.CharField(max_length=8, choices=Exposure.choices, blank=True)
    version = models.ForeignKey(
        ModelVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="+",
        help_text="Whose answer opened at the commit.",
    )  # fmt: skip
    text = models.TextField(blank=True)
    opened_at = models.DateTimeField()
    committed_at = models.DateTimeField(null=True, blank=True)
    signed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["study", "reader"], condition=~Q(state="retracted"), name="read_per_reader"
            ),
            models.CheckConstraint(
                condition=Q(state="draft", committed_at=None, ai_exposure="")
                | ~Q(state="draft") & Q(committed_at__isnull=False) & ~Q(ai_exposure=""),
                name="read_committed",
            ),
        ]

    def __str__(self) -> str:
        return f"read {self.pk}"

    @property
    def is_signed(self) -> bool:
        return self.state in SIGNED

    @property
    def is_open(self) -> bool:
        """Whether marks and text may still change."""
        return self.state in (ReadState.DRAFT, ReadState.PRELIMINARY)


class Mark(models.Model):
    """What a reader said of a finding at one moment: rows are only added, and the last of a label stands.

    An empty verdict takes the one before it back: the finding is unknown again, which is not absent.
    """

    read = models.ForeignKey(Read, on_delete=models.PROTECT, related_name="marks")
    label = models.CharField(max_length=64)
    verdict = models.CharField(max_length=8, choices=Verdict.choices, blank=True)
    side = models.CharField(max_length=1, choices=Side.choices, blank=True)
    after_reveal = models.BooleanField(default=False)
    at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["read", "label", "-id"], name="mark_last")]

    def __str__(self) -> str:
        return f"mark {self.pk}"


class Addendum(models.Model):
    """Added after sign-off, or why the read was retracted. Rows are only added."""

    read = models.ForeignKey(Read, on_delete=models.PROTECT, related_name="addenda")
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    text = models.TextField()
    retracts = models.BooleanField(default=False)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"addendum {self.pk}"
