"""What was decided of a transaction, what that rests on, and the alerts that want a person.

A decision's primary key is its place in the order of deciding: keys are handed out while the
card's and terminal's states are locked, so for any one key a larger number was decided later. Decisions
made without the states are the exception: the states hear of those afterwards and the model scores them then,
which is a Rescore and never a second decision. They never hear of what was too old.
"""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.db import models
from django.db.models import Q

from apps.accounts.models import Site
from apps.fraud.models.sources import one_of
from apps.fraud.models.transactions import EventType, Transaction
from apps.fraud.models.work import WorkItem


class Outcome(models.TextChoices):
    APPROVE = "approve", "Approve"
    REVIEW = "review", "Review"
    DECLINE = "decline", "Decline"


def by_thresholds(score: float, review: float, decline: float) -> Outcome:
    if score >= decline:
        return Outcome.DECLINE
    return Outcome.REVIEW if score >= review else Outcome.APPROVE


class Mode(models.TextChoices):
    FULL = "full", "model and rules"
    NO_STATE = "no_state", "model without the card's history"
    RULES_ONLY = "rules_only", "rules alone"


TOO_OLD = "too_old"  # why there is no history in it: the event lay beyond the longest window when it came


class Decision(models.Model):
    """What was decided, from which artefact, and why. Written once."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    transaction = models.OneToOneField(Transaction, on_delete=models.PROTECT, related_name="decision")
    outcome = models.CharField(max_length=7, choices=Outcome.choices)
    score = models.FloatField(null=True)
    mode = models.CharField(max_length=10, choices=Mode.choices)
    mode_reason = models.CharField(max_length=32, blank=True)
    main_reason = models.CharField(max_length=200, blank=True)
    model_version = models.PositiveIntegerField(null=True)
    artefact_hash = models.CharField(max_length=64, blank=True)
    review_threshold = models.FloatField(null=True)
    decline_threshold = models.FloatField(null=True)
    ruleset_version = models.PositiveIntegerField(default=1)
    deadline_hit = models.BooleanField(default=False)
    decided_at = models.DateTimeField(db_index=True)
    latency_ms = models.FloatField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=one_of("outcome", Outcome), name="outcome_known"),
            models.CheckConstraint(condition=one_of("mode", Mode), name="mode_known"),
            models.CheckConstraint(
                condition=Q(mode="rules_only", score=None, model_version=None)
                | (~Q(mode="rules_only") & Q(score__gte=0, score__lte=1, model_version__isnull=False)),
                name="score_unless_rules_only",
            ),
            models.CheckConstraint(condition=Q(latency_ms__gte=0), name="latency_not_negative"),
        ]
        # What is seldom is found among millions of others.
        indexes: ClassVar = [
            models.Index(
                fields=["-decided_at", "-id"],
                condition=Q(outcome__in=["review", "decline"]),
                name="decided_not_approved",
            ),
            models.Index(
                fields=["-decided_at", "-id"],
                condition=Q(mode__in=["no_state", "rules_only"]),
                name="decided_degraded",
            ),
        ]

    def __str__(self) -> str:
        return f"decision {self.public_id}"

    @property
    def outcome_by_score(self) -> Outcome | None:
        """What the model's score alone asked for; None where there is none."""
        if self.score is None or self.review_threshold is None or self.decline_threshold is None:
            return None
        return by_thresholds(self.score, self.review_threshold, self.decline_threshold)

    @property
    def reasons(self) -> list[dict[str, Any]]:
        """Rules first, then the model's; empty once the evidence was pruned."""
        try:
            return list(self.evidence.reasons)
        except Evidence.DoesNotExist:
            return []

    @property
    def was_allowed(self) -> bool:
        """Whether a rule or list let it pass whatever the model says, as far as the evidence is kept."""
        return any(one.get("action") == Outcome.APPROVE and not one.get("shadow") for one in self.reasons)

    @property
    def rescored(self) -> Rescore | None:
        """What the model said of it after the fact."""
        return getattr(self, "rescore", None)

    @property
    def raised_later(self) -> bool:
        """Whether its alert came of that: what is approved has no other."""
        return self.outcome == Outcome.APPROVE and self.rescored is not None and hasattr(self, "alert")


class Rescore(models.Model):
    """What the model said of a payment after it was decided without it or without the states.

    Written once, with the states that then heard of it. `by_score` is what the score alone asks for; rules
    were asked when it was decided.
    """

    decision = models.OneToOneField(
        Decision, on_delete=models.PROTECT, primary_key=True, related_name="rescore"
    )
    score = models.FloatField()
    by_score = models.CharField(max_length=7, choices=Outcome.choices)
    main_reason = models.CharField(max_length=200, blank=True)
    model_version = models.PositiveIntegerField()
    artefact_hash = models.CharField(max_length=64)
    review_threshold = models.FloatField()
    decline_threshold = models.FloatField()
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=one_of("by_score", Outcome), name="by_score_known"),
            models.CheckConstraint(condition=Q(score__gte=0, score__lte=1), name="rescore_in_range"),
        ]

    def __str__(self) -> str:
        return f"rescore of decision {self.decision_id}"

    @property
    def would_have_been(self) -> Outcome:
        """What the model would have made of it. An advice tells of a payment made: a review at most."""
        if self.by_score == Outcome.DECLINE and self.decision.transaction.type == EventType.ADVICE:
            return Outcome.REVIEW
        return Outcome(self.by_score)


class Evidence(models.Model):
    """What a decision rests on: the exact float32 row the trees saw, and every reason. Kept for a while."""

    decision = models.OneToOneField(
        Decision, on_delete=models.CASCADE, primary_key=True, related_name="evidence"
    )
    features = models.BinaryField(default=bytes)
    reasons = models.JSONField(default=list)

    def __str__(self) -> str:
        return f"evidence of decision {self.decision_id}"


class AlertStatus(models.TextChoices):
    OPEN = "open", "Open"
    CLOSED = "closed", "Closed"


class Alert(models.Model):
    """A decision that wants a person. Soon after it was written it lies in a work item."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    decision = models.OneToOneField(Decision, on_delete=models.PROTECT, related_name="alert")
    status = models.CharField(max_length=6, choices=AlertStatus.choices, default=AlertStatus.OPEN)
    amount_reporting_minor = models.BigIntegerField()
    risk_minor = models.BigIntegerField(help_text="Score x amount; the whole amount where there is no score.")
    created_at = models.DateTimeField()
    item = models.ForeignKey(WorkItem, null=True, on_delete=models.PROTECT, related_name="alerts")
    at_stake_minor = models.BigIntegerField(null=True, help_text="Its part of its item's; with the item.")

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=one_of("status", AlertStatus), name="alert_status_known"),
            models.CheckConstraint(
                condition=Q(risk_minor__gte=0, amount_reporting_minor__gte=0), name="risk_not_negative"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["site", "-risk_minor"], condition=Q(status="open"), name="open_by_risk"),
            models.Index(fields=["id"], condition=Q(status="open", item=None), name="alerts_to_gather"),
        ]

    def __str__(self) -> str:
        return f"alert {self.pk}"
