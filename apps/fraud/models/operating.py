"""Where a site's thresholds lie for a version of the model, who asked for that and who agreed.

Added, never changed. A point is written when it comes to hold, so that the newest that is not over holds;
what waits for a second person is a proposal.
"""

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
    BY_HAND = "by_hand", "set by hand"


class OperatingProposal(models.Model):
    """What one person wants. Where it `loosens` it waits for another; else it holds at once, for some hours.

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
    loosens = models.BooleanField()
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=one_of("method", Method), name="proposal_method_known"),
            models.CheckConstraint(
                condition=Q(review__gte=0, review__lte=F("decline"), decline__lte=1),
                name="proposal_review_below_decline",
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["site", "version", "-id"], name="proposal_newest")]

    def __str__(self) -> str:
        return f"proposal of an operating point {self.pk}"


class ProposalReview(models.Model):
    """What somebody else said of it, before it held or after."""

    proposal = models.OneToOneField(
        OperatingProposal, on_delete=models.PROTECT, primary_key=True, related_name="review_of"
    )
    accepted = models.BooleanField()
    note = models.CharField(max_length=300, blank=True)
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"review of proposal {self.proposal_id}"


class OperatingPoint(models.Model):
    """The newest of a site and version holds that is not over; without one, what came with the version does.

    It is over after `until`, and where its proposal was refused. Without `until` two people stand behind it.
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
    until = models.DateTimeField(null=True)
    proposal = models.ForeignKey(
        OperatingProposal, null=True, on_delete=models.PROTECT, related_name="points"
    )

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
