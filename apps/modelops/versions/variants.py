"""The forms a version's model was made in, what each was measured to do, and which of them may serve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apps.modelops.common.measures import Cell
from apps.modelops.models import ModelVersion

TITLES = {"torch": "PyTorch, 32-bit", "onnx": "ONNX Runtime, 32-bit", "int8": "ONNX Runtime, 8-bit integers"}
AUC_LOSS_MAX = 0.003


@dataclass(frozen=True, slots=True)
class Variant:
    """A row of the page's table; times in ms for one film and for sixteen, processor time in s for 1000."""

    name: str
    title: str
    mb: float
    ms_1: float
    ms_16: float
    cpu_s_per_1000: float
    auc: Cell
    auc_loss: Cell
    accepted: bool
    verdict: str
    serves: bool


def variants_of(version: ModelVersion) -> list[Variant]:
    """Empty where training made no other form."""
    table: Mapping[str, Mapping[str, Any]] = version.metrics.get("inference", {}).get("variants", {})
    return [_variant(name, row, version.variant) for name, row in table.items()]


def chosen_at_training(metrics: Mapping[str, Any]) -> str:
    return str(metrics.get("inference", {}).get("chosen", ""))


def _variant(name: str, row: Mapping[str, Any], serves: str) -> Variant:
    return Variant(
        name=name,
        title=TITLES.get(name, name),
        **{key: float(row[key]) for key in ("mb", "ms_1", "ms_16", "cpu_s_per_1000")},
        auc=_cell(row, "auc"),
        auc_loss=_cell(row, "auc_loss"),
        accepted=bool(row.get("accepted")),
        verdict=_verdict(row),
        serves=name == serves,
    )  # fmt: skip


def _cell(row: Mapping[str, Any], name: str) -> Cell:
    low, high = row.get("intervals", {}).get(name) or (None, None)
    return Cell(row[name], low, high)


def _verdict(row: Mapping[str, Any]) -> str:
    if "accepted" not in row:
        return "the reference; serves on a graphics card"
    if row["accepted"]:
        return "may serve"
    lost = row["auc_loss"]
    if lost is None or lost > AUC_LOSS_MAX:
        return "refused: loses more than 0.3 points of AUC"
    return "refused: not faster on this machine"
