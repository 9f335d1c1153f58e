"""Where a site's thresholds lie for a version of the model. Added, never changed."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from apps.accounts.models import Site, User
from apps.fraud.models.sources import one_of
from apps.modelops.models import ModelVersion


class Method(models.TextChoices):
    """How thresholds were chosen."""

    TRAINED = "trained", "as it was trained"
    BUDGET = "budget", "from a review budget"
    COST = "cost", "from expected cost"


class OperatingPoint(models.Model):
    """The newest of a site and version holds; without one, what came with the version does.

    `asked` is what it was chosen from and `came_to` what was shown of it on held-out days when it was.
    """

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="+")
    method = models.CharField(max_length=7, choices=Method.choices)
    review = models.FloatField()
    decline = models.FloatField()
    asked = models.JSONField()
    came_to = models.JSONField()
    note = models.CharField(max_length=300)
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=one_of("method", Method), name="operating_method_known"),
            models.CheckConstraint(
                condition=Q(review__gte=0, review__lte=F("decline"), decline__lte=1),
                name="operating_review_below_decline",
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["site", "version", "-id"], name="operating_newest")]

    def __str__(self) -> str:
        return f"operating point {self.pk}"
