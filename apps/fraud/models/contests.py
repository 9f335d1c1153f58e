"""Declined customers who do not agree, and the person who looked again."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q

from apps.accounts.models import Site, User
from apps.fraud.models.decisions import Decision
from apps.fraud.models.sources import Source, one_of

MESSAGE_MAX = 1000


class ContestOutcome(models.TextChoices):
    UPHELD = "upheld", "the decline stands"
    OVERTURNED = "overturned", "the decline was wrong"


class Contest(models.Model):
    """Opened by the source under its own `contest_id`, settled once, by a person."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="contests")
    contest_id = models.CharField(max_length=128)
    decision = models.ForeignKey(Decision, on_delete=models.PROTECT, related_name="contests")
    message = models.CharField(max_length=MESSAGE_MAX, blank=True, help_text="What the customer says.")
    opened_at = models.DateTimeField()
    outcome = models.CharField(max_length=10, choices=ContestOutcome.choices, blank=True)
    answer = models.CharField(max_length=MESSAGE_MAX, blank=True, help_text="What the customer is told.")
    settled_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    settled_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["source", "contest_id"], name="contest_once"),
            models.CheckConstraint(
                condition=Q(outcome="", settled_by=None, settled_at=None)
                | (one_of("outcome", ContestOutcome) & Q(settled_by__isnull=False, settled_at__isnull=False)),
                name="contest_settled_by_a_person",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["site", "opened_at"], condition=Q(settled_at=None), name="contests_open")
        ]

    def __str__(self) -> str:
        return f"contest {self.public_id}"
