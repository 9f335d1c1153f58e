"""De-identified copies of films for research: what was asked for, which films, and what was done to each."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q

from apps.accounts.models import Site, User
from apps.radiology.models.studies import Instance


class ExportState(models.TextChoices):
    WAITING = "waiting", "being made"
    HELD = "held", "waits for a person"
    READY = "ready", "ready"
    FAILED = "failed", "failed"
    EXPIRED = "expired", "deleted"


class Export(models.Model):
    """`report` counts what was done by attribute, and holds no value of any."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.CharField(
        max_length=40, validators=[RegexValidator(r"^[A-Za-z0-9_-]+$", "Letters, digits, - and _ alone.")],
        help_text="One patient has one pseudonym in all exports of a project, and another elsewhere.",
    )  # fmt: skip
    labels = models.JSONField(default=list, help_text="Findings of the table of labels; none: no table.")
    state = models.CharField(max_length=8, choices=ExportState.choices, default=ExportState.WAITING)
    fault = models.CharField(max_length=200, blank=True)
    report = models.JSONField(default=list)
    file_bytes = models.PositiveBigIntegerField(default=0)
    asked_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField()
    due_at = models.DateTimeField(help_text="Not before; a worker that is at it moves it ahead.")
    made_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["due_at"], condition=Q(state="waiting"), name="export_due"),
            models.Index(fields=["site", "-asked_at"], name="export_latest"),
        ]

    def __str__(self) -> str:
        return f"export {self.pk}"


class FilmState(models.TextChoices):
    WAITING = "waiting", "waits"
    HELD = "held", "may show text"
    CLEAN = "clean", "shows no text"
    LEFT_OUT = "left_out", "left out"


class ExportFilm(models.Model):
    export = models.ForeignKey(Export, on_delete=models.CASCADE, related_name="films")
    instance = models.ForeignKey(Instance, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=8, choices=FilmState.choices, default=FilmState.WAITING)
    reason = models.CharField(max_length=200, blank=True)
    decided_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["export", "instance"], name="exported_once")]

    def __str__(self) -> str:
        return f"film {self.instance_id} of export {self.export_id}"
