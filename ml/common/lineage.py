"""What an artefact was made with, for its model card."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib import metadata
from typing import Any

from ml.common.contracts import TrainRequest

LIBRARIES = (
    "numpy", "pandas", "torch", "torchvision", "timm", "xgboost-cpu", "xgboost", "onnx", "onnxruntime",
    "safetensors",
)  # fmt: skip


def lineage_of(request: TrainRequest) -> dict[str, Any]:
    """What the caller knows of code and parent, and the versions of Python and the libraries of this process.

    No time and no name of a machine: the same data, seed and libraries make the same artefact.
    """
    return {**request.lineage, "python": platform.python_version(), "libraries": libraries()}


def libraries() -> Mapping[str, str]:
    """Name -> version of those that are installed."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # one of the two builds of XGBoost, or a part that only training installs
    return found
