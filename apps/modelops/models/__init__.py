"""Models, their versions, the frozen data they learnt from, and the jobs that trained them."""

from __future__ import annotations

from apps.modelops.models.datasets import DatasetSnapshot, Freeze, HeldOutCase, HeldOutPeriod
from apps.modelops.models.gate import GateRun, PromotionRequest
from apps.modelops.models.jobs import JobEvent, TrainingJob
from apps.modelops.models.shadow import FollowingRun, RunEnd
from apps.modelops.models.versions import Model, ModelVersion, Promotion

__all__ = [
    "DatasetSnapshot",
    "FollowingRun",
    "Freeze",
    "GateRun",
    "HeldOutCase",
    "HeldOutPeriod",
    "JobEvent",
    "Model",
    "ModelVersion",
    "Promotion",
    "PromotionRequest",
    "RunEnd",
    "TrainingJob",
]
