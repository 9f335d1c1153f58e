"""What `manage.py evaluate radiology` does with its arguments."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml.radiology.contracts import EvaluationReport


def evaluate(artefact_dir: Path, options: Mapping[str, Any]) -> EvaluationReport:
    """Raises ValueError for missing or unreadable images or labels."""
    from ml.radiology.evaluate import evaluate as measure

    if not options["images"] or not options["labels"]:
        raise ValueError("Radiology is evaluated on images: give --images, --labels and --findings.")
    findings = [name.strip() for name in (options["findings"] or "").split(",") if name.strip()]
    return measure(
        artefact_dir,
        images=Path(options["images"]),
        labels_csv=Path(options["labels"]),
        findings=findings,
        seed=options["seed"],
        variant=options["variant"],
    )
