"""Where a site's signed reports go, what is on its way there, and how each attempt went."""

from __future__ import annotations

import uuid
from typing import ClassVar
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q

from apps.accounts.models import Site
from apps.radiology.models.reports import ReportDocument
from apps.radiology.models.results import Result
from apps.radiology.models.studies import Study


class Destination(models.Model):
    """A PACS that takes signed reports: by C-STORE (AE title, host, port) or by STOW-RS (an address)."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="destinations")
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=60)
    AETitle = models.CharField(
        "AE title", max_length=16, blank=True,
        validators=[RegexValidator(r"^[ -\[\]-~]*$", "Printable ASCII without a backslash.")],
    )  # fmt: skip
    host = models.CharField(max_length=255, blank=True)
    port = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(65535)]
    )
    stow_url = models.URLField(
        "STOW-RS address", blank=True, help_text="Of its studies, for example https://pacs/dicom-web/studies"
    )
    bearer = models.BinaryField(default=bytes, blank=True, help_text="Sealed (apps.core.encryption).")
    sends_results = models.BooleanField(
        "sends AI results", default=False,
        help_text="Structured report and captures of what the model found, once the study is signed.",
    )  # fmt: skip
    is_active = models.BooleanField(default=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["site", "name"], name="destination_per_site"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def seal(self) -> str:
        """What its bearer token is sealed for."""
        return f"destination {self.public_id}"

    def clean(self) -> None:
        dimse = bool(self.AETitle and self.host and self.port)
        if dimse == bool(self.stow_url) or (self.stow_url and (self.AETitle or self.host or self.port)):
            raise ValidationError("Give AE title, host and port, or a STOW-RS address, and not both.")
        if self.stow_url:
            parts = urlsplit(self.stow_url)
            if parts.scheme not in ("http", "https") or parts.username or parts.password:
                raise ValidationError({"stow_url": "An http or https address without a password in it."})


class Dispatch(models.Model):
    """One object for one destination, written with the signature it follows.

    Due at `due_at` while it is neither delivered nor dead. `due_at` moves ahead before each attempt, so that
    one whose sender died is tried again and one that is being sent is not sent twice at a time.
    """

    destination = models.ForeignKey(Destination, on_delete=models.PROTECT, related_name="dispatches")
    document = models.ForeignKey(
        ReportDocument, null=True, blank=True, on_delete=models.PROTECT, related_name="dispatches"
    )
    result = models.ForeignKey(
        Result, null=True, blank=True, on_delete=models.PROTECT, related_name="dispatches"
    )
    created_at = models.DateTimeField()
    due_at = models.DateTimeField()
    attempts = models.PositiveSmallIntegerField(default=0)
    delivered_at = models.DateTimeField(null=True, blank=True)
    dead_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "dispatches"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["destination", "document"], name="document_once"),
            models.UniqueConstraint(fields=["destination", "result"], name="result_sent_once"),
            models.CheckConstraint(
                condition=Q(document=None, result__isnull=False) | Q(document__isnull=False, result=None),
                name="dispatch_of_one",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["due_at"], condition=Q(delivered_at=None, dead_at=None), name="dispatch_waiting"
            ),
            models.Index(fields=["id"], condition=~Q(dead_at=None), name="dispatch_dead"),
        ]

    def __str__(self) -> str:
        return f"dispatch {self.pk}"

    @property
    def held(self) -> ReportDocument | Result:
        """The object that is sent."""
        held = self.document or self.result
        if held is None:
            raise ValueError("A dispatch of nothing.")  # the constraint above knows no such row
        return held

    @property
    def study(self) -> Study:
        return self.held.study

    @property
    def is_superseded(self) -> bool:
        """Another took its place before it was delivered."""
        return self.delivered_at is None and self.held.superseded_at is not None

    @property
    def last_try(self) -> DispatchAttempt | None:
        return max(self.tries.all(), key=lambda one: one.pk, default=None)


class DispatchAttempt(models.Model):
    """`said` is the receiver's status (0x0000, 200), or why there was none."""

    dispatch = models.ForeignKey(Dispatch, on_delete=models.CASCADE, related_name="tries")
    at = models.DateTimeField()
    said = models.CharField(max_length=60)
    took_ms = models.FloatField()

    def __str__(self) -> str:
        return f"attempt {self.pk}"
