"""Models, their versions, the frozen data they learnt from, and the jobs that trained them."""

from __future__ import annotations

from apps.modelops.models.datasets import DatasetSnapshot, Freeze, HeldOutCase, HeldOutPeriod
from apps.modelops.models.gate import GateRun, PromotionRequest
from apps.modelops.models.jobs import CrossValidation, JobEvent, TrainingJob
from apps.modelops.models.retraining import Retraining, RetrainingPolicy
from apps.modelops.models.shadow import FollowingRun, RunEnd
from apps.modelops.models.versions import ImportedVersion, Model, ModelVersion, Promotion
from apps.modelops.models.watch import (
    Alarm,
    AlarmLimit,
    AlarmNews,
    AlarmReceiver,
    HourlyCost,
    WatchReading,
    WatchRound,
)

__all__ = [
    "Alarm",
    "AlarmLimit",
    "AlarmNews",
    "AlarmReceiver",
    "CrossValidation",
    "DatasetSnapshot",
    "FollowingRun",
    "Freeze",
    "GateRun",
    "HeldOutCase",
    "HeldOutPeriod",
    "HourlyCost",
    "ImportedVersion",
    "JobEvent",
    "Model",
    "ModelVersion",
    "Promotion",
    "PromotionRequest",
    "Retraining",
    "RetrainingPolicy",
    "RunEnd",
    "TrainingJob",
    "WatchReading",
    "WatchRound",
]
