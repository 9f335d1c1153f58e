"""`make soak`: the tests that grow with their size, at full size, and a file that says how they went."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

from benchmarks.report import ROOT, report

SIZES = {
    "LYNCEUS_FUZZ_SEED": "1",
    "LYNCEUS_FUZZ_CASES": "20000",
    "LYNCEUS_SOAK_KILLS": "20",
    "LYNCEUS_SOAK_EVENTS": "10000",
    "LYNCEUS_SOAK_FILM_KILLS": "20",
    "LYNCEUS_SOAK_STUDIES": "200",
    "LYNCEUS_SOAK_JOB_KILLS": "20",
    "LYNCEUS_PARITY_EVENTS": "200000",
}


def main() -> int:
    sizes = {name: os.environ.get(name, value) for name, value in SIZES.items()}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "soak.xml"
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-m", "soak", "-p", "no:randomly", f"--junitxml={out}"],
            cwd=ROOT, env={**os.environ, **sizes}, check=False,
        )  # fmt: skip
        rows = [_row(case) for case in ET.parse(out).getroot().iter("testcase")]  # noqa: S314 - our own
    failed = sum(row["outcome"] != "passed" for row in rows)
    measures: dict[str, Any] = {
        "tests": len(rows),
        "failed": failed,
        "seconds": sum(row["seconds"] for row in rows),
    }
    for row in rows:
        measures |= row.pop("measured")
    report("soak", rows, measures, seed=int(sizes["LYNCEUS_FUZZ_SEED"]), sizes=sizes)
    return done.returncode or int(not rows)


def _row(case: ET.Element) -> dict[str, Any]:
    outcome = "failed" if any(child.tag in ("failure", "error") for child in case) else "passed"
    return {
        "test": f"{case.get('classname')}.{case.get('name')}",
        "outcome": outcome,
        "seconds": round(float(case.get("time") or 0), 1),
        "measured": {one.attrib["name"]: int(one.attrib["value"]) for one in case.iter("property")},
    }


if __name__ == "__main__":
    sys.exit(main())
