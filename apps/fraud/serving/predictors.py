"""What a fraud model is asked and what it answers, as the services know it; `inference` alone touches one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ml.fraud.contracts import BatchResult, Event, EventScore, Influence, KeptVector, Reason, Thresholds

MODEL_UNREADABLE = "model_unreadable"
States = Mapping[str, bytes]
Matrix = npt.NDArray[np.float32]


class Predictor(Protocol):
    @property
    def thresholds(self) -> Thresholds: ...

    @property
    def time_zone(self) -> str: ...

    def score_batch(self, events: Sequence[Event], states: States, explain: bool = True) -> BatchResult: ...

    def explain(self, vectors: Matrix) -> list[tuple[Reason, ...]]: ...

    def influences(self, vectors: Matrix, histories: Sequence[Matrix]) -> list[Influence]: ...

    def rescore(self, vector: bytes) -> float: ...

    def remember(self, card_state: bytes, vectors: Sequence[bytes]) -> bytes: ...

    def memory_of(self, vectors: Sequence[bytes]) -> bytes: ...

    def follow(
        self, kept: Sequence[KeptVector], memories: Mapping[str, bytes]
    ) -> tuple[list[float | None], dict[str, bytes]]: ...


@dataclass(frozen=True, slots=True)
class Champion:
    number: int
    artefact_hash: str
    predictor: Predictor


@dataclass(frozen=True, slots=True)
class Answer:
    """Scores in the order of the events (None where the model failed on one), and touched states."""

    number: int
    artefact_hash: str
    thresholds: Thresholds
    scores: tuple[EventScore | None, ...]
    states: States


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Why the model says nothing: no_model, or model_unreadable."""

    reason: str
