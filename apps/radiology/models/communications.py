"""Critical findings, and who was told of them."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q

from apps.accounts.models import Site, User
from apps.radiology.models.reads import Read


class Channel(models.TextChoices):
    PHONE = "phone", "by telephone"
    PERSON = "person", "in person"
    MESSAGE = "message", "by secure message"
    PAGER = "pager", "by pager"


class Communication(models.Model):
    """A finding its reader calls critical: open until it says who was told, or that it was a mistake."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    read = models.ForeignKey(Read, on_delete=models.PROTECT, related_name="communications")
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    finding = models.CharField(max_length=200)
    identified_at = models.DateTimeField()
    escalated_at = models.DateTimeField(null=True, blank=True)
    told_at = models.DateTimeField(null=True, blank=True)
    told_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    told_to = models.CharField(max_length=150, blank=True)
    channel = models.CharField(max_length=8, choices=Channel.choices, blank=True)
    read_back = models.BooleanField(default=False)
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    withdrawn_why = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(told_at=None, told_by=None, told_to="", channel="", read_back=False)
                | Q(told_at__isnull=False, told_by__isnull=False, withdrawn_at=None)
                & ~Q(told_to="")
                & ~Q(channel=""),
                name="told_as_a_whole",
            )
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["site", "identified_at"],
                condition=Q(told_at=None, withdrawn_at=None),
                name="communication_open",
            )
        ]

    def __str__(self) -> str:
        return f"communication {self.pk}"

    @property
    def is_open(self) -> bool:
        return self.told_at is None and self.withdrawn_at is None
