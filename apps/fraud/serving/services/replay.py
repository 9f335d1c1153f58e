"""Make a decision's score again from what is kept of it, with the version that made it."""

from __future__ import annotations

from dataclasses import dataclass

from apps.core.errors import LynceusError
from apps.fraud.models import Decision, Evidence, Outcome, by_thresholds
from apps.fraud.serving.inference import predictor_of


@dataclass(frozen=True, slots=True)
class Replayed:
    """`score` of now beside the decision's own; equal to the last bit, or something has changed."""

    decision: Decision
    score: float
    by_score: Outcome

    @property
    def same(self) -> bool:
        return self.score == self.decision.score and self.by_score == self.decision.outcome_by_score


def replay_decision(decision: Decision) -> Replayed:
    """LynceusError for a decision without a score, whose vector was pruned, or whose artefact is gone."""
    if decision.score is None or decision.review_threshold is None or decision.decline_threshold is None:
        raise LynceusError("no_score", "Rules alone made this decision: there is no score to make again.")
    try:
        vector = bytes(decision.evidence.features)
    except Evidence.DoesNotExist:
        vector = b""
    if not vector:
        raise LynceusError("evidence_pruned", "The vector this decision was made from is no longer kept.")
    score = predictor_of(decision.artefact_hash).rescore(vector)
    return Replayed(
        decision, score, by_thresholds(score, decision.review_threshold, decision.decline_threshold)
    )
