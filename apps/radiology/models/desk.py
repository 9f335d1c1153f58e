"""How radiologists share the work: filters one keeps, a study one leaves to another."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from apps.accounts.models import User
from apps.core.saved_views import SavedView as Kept
from apps.radiology.models.studies import Study


class SavedView(Kept):
    """Of the worklist; never a patient's number."""

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["user", "name"], name="view_per_name")]


class HandOver(models.Model):
    """A study left to a named reader, or to whoever is next, with a word."""

    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="hand_overs")
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    to = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    note = models.TextField(blank=True)
    opened = models.BooleanField(
        default=False, help_text="Who gave it knew what the model says, so who takes it may know."
    )
    at = models.DateTimeField()
    taken_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    taken_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["study"], condition=Q(taken_at=None), name="one_hand_over_open")
        ]
        indexes: ClassVar = [models.Index(fields=["to"], condition=Q(taken_at=None), name="hand_over_waits")]

    def __str__(self) -> str:
        return f"hand-over {self.pk}"
