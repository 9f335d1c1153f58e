"""What a job said, line by line.

Made of the events that the trainers word themselves. What libraries print stays in the file in the job's
folder: it may name paths, and rows of the data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ml.common.contracts import OF_TIME

LINES_MAX = 200
Events = Sequence[tuple[datetime, Mapping[str, Any]]]


def log_of(events: Events) -> list[tuple[datetime, str]]:
    """The last lines, the newest last."""
    return [(at, progress_line(payload)) for at, payload in events[-LINES_MAX:]]


def progress_line(progress: Mapping[str, Any]) -> str:
    """One line of progress, for a terminal and for a job's log."""
    parts = [str(progress["phase"])] if "phase" in progress else []
    if "epoch" in progress and "epochs" in progress:
        parts.append(f"epoch {progress['epoch']}/{progress['epochs']}")
    if "rate" in progress:
        parts.append(f"{progress['rate']:.0f} {progress.get('rate_unit', 'items')}/s")
    if "eta_s" in progress:
        parts.append(f"{progress['eta_s']:.0f} s left")
    measured = progress.get("metrics", {}).items()
    parts += [f"{name} {value:.4g}" for name, value in measured if not name.startswith(OF_TIME)]
    if "message" in progress:
        parts.append(str(progress["message"]))
    return "  ".join(parts)
