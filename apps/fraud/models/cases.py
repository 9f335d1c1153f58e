"""Cases: alerts that belong together, and what was found out about them. Entries are added, never changed."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from apps.accounts.models import Site, User
from apps.fraud.models.decisions import Alert
from apps.fraud.models.sources import one_of

CASE_TEXT_MAX = 2000


class Case(models.Model):
    """One who did not ask for its closing closes it."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    number = models.PositiveIntegerField()
    title = models.CharField(max_length=150)
    alerts = models.ManyToManyField(Alert, related_name="cases")
    opened_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    opened_at = models.DateTimeField()
    closing_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    closing_at = models.DateTimeField(null=True)
    conclusion = models.CharField(max_length=CASE_TEXT_MAX, blank=True)
    closed_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    closed_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["site", "number"], name="case_number_per_site"),
            models.CheckConstraint(
                condition=Q(closed_by=None, closed_at=None)
                | Q(closed_at__isnull=False, closing_by__isnull=False) & ~Q(closed_by=F("closing_by")),
                name="case_closed_by_another",
            ),
        ]

    def __str__(self) -> str:
        return f"case {self.number}"

    @property
    def state(self) -> str:
        if self.closed_at:
            return "closed"
        return "closing" if self.closing_at else "open"


class CaseKind(models.TextChoices):
    OPENED = "opened", "opened"
    NOTE = "note", "note"
    LINK = "link", "link"
    ALERT = "alert", "alert added"
    CLOSING = "closing", "closing asked for"
    REFUSED = "refused", "not closed"
    CLOSED = "closed", "closed"


class CaseEntry(models.Model):
    """A step of a case, or a piece of evidence."""

    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="entries")
    kind = models.CharField(max_length=7, choices=CaseKind.choices)
    text = models.CharField(max_length=CASE_TEXT_MAX, blank=True)
    link = models.URLField(max_length=500, blank=True)
    alert = models.ForeignKey(Alert, null=True, on_delete=models.PROTECT, related_name="+")
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=one_of("kind", CaseKind), name="case_entry_known")
        ]

    def __str__(self) -> str:
        return f"entry {self.pk} of case {self.case_id}"
