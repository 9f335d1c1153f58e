"""What `manage.py evaluate fraud` does with its arguments."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from apps.fraud.lifecycle.services.history import read_history
from ml.fraud.contracts import EvaluationReport


def evaluate(artefact_dir: Path, options: Mapping[str, Any]) -> EvaluationReport:
    """Raises ValueError for a missing or unreadable file or mapping."""
    from ml.fraud.evaluate import evaluate as measure
    from ml.fraud.importing import read_mapping

    if not options["file"]:
        raise ValueError("Fraud is evaluated on transactions: give --file, and --mapping where needed.")
    mapping = read_mapping(options["mapping"])
    files = [file for file in (options["history"], options["file"]) if file]
    *history, events = read_history(files, mapping)
    return measure(artefact_dir, events=events, history=history[0] if history else None, seed=options["seed"])
