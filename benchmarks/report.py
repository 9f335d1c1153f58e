"""Print a benchmark's table and keep it as results/NAME.json."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
ROOT = RESULTS.parent.parent


def report(name: str, table: Sequence[Mapping[str, Any]], measures: Mapping[str, float], **more: Any) -> None:
    """`measures` is flat: one number a name, units in the names. `more` says what else a reader must know."""
    for row in table:
        sys.stdout.write("  ".join(f"{key} {_short(value)}" for key, value in row.items()) + "\n")
    document = {
        "name": name,
        "command": f"python -m benchmarks.{name} {' '.join(sys.argv[1:])}".strip(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": machine(),
        **more,
        "table": list(table),
        "measures": dict(measures),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")


def machine() -> dict[str, Any]:
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cpus": os.cpu_count(),
        "memory_gib": round(memory_gib, 1),
        "system": platform.system(),
        "processor": platform.machine(),
        "python": platform.python_version(),
    }


def commit() -> str:
    """The commit measured, marked where the tree differs from it."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--exclude=*"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout.strip() or "unknown"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
