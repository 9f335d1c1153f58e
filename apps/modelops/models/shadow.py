"""A version that follows live traffic beside the champion: what a domain's own runs have in common."""

from __future__ import annotations

from django.db import models

from apps.accounts.models import User
from apps.modelops.models.versions import ModelVersion


class RunEnd(models.TextChoices):
    STOPPED = "stopped", "stopped"
    REPLACED = "replaced", "another version took its place"
    PROMOTED = "promoted", "it was put in service"


class FollowingRun(models.Model):
    """From `started_at` until `ended_at`. `trouble`: why it does not get on, in words; empty while it
    does."""

    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="+")
    started_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    started_at = models.DateTimeField()
    ended_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    ended_at = models.DateTimeField(null=True)
    end = models.CharField(max_length=8, choices=RunEnd.choices, blank=True)
    trouble = models.CharField(max_length=300, blank=True)

    class Meta:
        abstract = True

    def say(self, trouble: str) -> None:
        """Keep it, if it is another than before."""
        if self.trouble != trouble[:300]:
            self.trouble = trouble[:300]
            self.save(update_fields=["trouble"])
