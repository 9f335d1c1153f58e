"""Archives that Lynceus asks as a client, and the earlier studies it asked them for."""

from __future__ import annotations

from typing import ClassVar

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from apps.accounts.models import Site
from apps.radiology.models.nodes import DicomNode
from apps.radiology.models.studies import Study


class DicomPeer(models.Model):
    """A PACS with C-FIND and C-MOVE. What it is asked for it sends to our listener, so that it has to be
    known there as a `DicomNode` too, and our AE title, host and port to it."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="dicom_peers")
    AETitle = models.CharField("AE title", max_length=16)
    host = models.CharField(max_length=253)
    port = models.PositiveIntegerField(
        default=104, validators=[MinValueValidator(1), MaxValueValidator(65535)]
    )
    is_active = models.BooleanField(default=True)
    fetches_priors = models.BooleanField(
        default=True, help_text="Ask for earlier studies of the patient of each study that arrives."
    )
    modalities = models.CharField(
        max_length=60, default="CR,DX", help_text="Of priors, and of what is compared; by comma."
    )
    body_parts = models.CharField(
        max_length=120, default="CHEST", blank=True,
        help_text="Of priors, by comma; a series that names none is taken. Empty: any.",
    )  # fmt: skip
    priors_max = models.PositiveSmallIntegerField(
        default=3, validators=[MinValueValidator(1), MaxValueValidator(20)],
        help_text="Studies fetched for one that arrives, the latest first.",
    )  # fmt: skip
    priors_max_mb = models.PositiveIntegerField(
        "priors' MiB", default=200, validators=[MinValueValidator(1), MaxValueValidator(10_000)],
        help_text="After so much no more is fetched for that study.",
    )  # fmt: skip
    failed_at = models.DateTimeField(null=True, blank=True, editable=False)
    fault = models.CharField(max_length=120, blank=True, editable=False)

    class Meta:
        verbose_name = "DICOM peer"
        constraints: ClassVar = [models.UniqueConstraint(fields=["site", "AETitle"], name="peer_per_site")]

    def __str__(self) -> str:
        return self.AETitle

    def clean(self) -> None:
        known = DicomNode.objects.filter(site_id=self.site_id, AETitle=self.AETitle, is_active=True)
        if self.AETitle and not known.exists():
            text = "Enter this AE title as a DICOM node first: what is fetched comes from it."
            raise ValidationError({"AETitle": text})

    @property
    def wanted_modalities(self) -> frozenset[str]:
        return _words(self.modalities)

    @property
    def wanted_body_parts(self) -> frozenset[str]:
        return _words(self.body_parts)


def _words(text: str) -> frozenset[str]:
    return frozenset(word.strip().upper() for word in text.split(",") if word.strip())


class FetchState(models.TextChoices):
    WAITING = "waiting", "waits"
    DONE = "done", "done"
    GAVE_UP = "gave_up", "given up"


class PriorFetch(models.Model):
    """The search for one study's priors at one peer: a row is the work, whoever rings for it."""

    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="prior_fetches")
    peer = models.ForeignKey(DicomPeer, on_delete=models.PROTECT, related_name="fetches")
    state = models.CharField(max_length=8, choices=FetchState.choices, default=FetchState.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(help_text="Not before; a worker that is at it moves it ahead.")
    fault = models.CharField(max_length=120, blank=True, help_text="Of the last attempt, in words.")
    found = models.PositiveSmallIntegerField(default=0)
    fetched = models.PositiveSmallIntegerField(default=0)
    left_out = models.PositiveSmallIntegerField(default=0, help_text="Beyond the number or size allowed.")

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["study", "peer"], name="priors_once")]
        indexes: ClassVar = [
            models.Index(fields=["due_at"], condition=Q(state="waiting"), name="prior_fetch_due")
        ]

    def __str__(self) -> str:
        return f"priors of study {self.study_id}"


class PriorRequest(models.Model):
    """A study asked for as a prior: what the peer sends of it until `until` is one, and no new work."""

    fetch = models.ForeignKey(PriorFetch, on_delete=models.CASCADE, related_name="requests")
    StudyInstanceUID = models.CharField(max_length=64)
    until = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["fetch", "StudyInstanceUID"], name="prior_asked_once")
        ]
        indexes: ClassVar = [models.Index(fields=["StudyInstanceUID"], name="prior_asked")]

    def __str__(self) -> str:
        return f"request {self.pk}"
