"""The loop to beat: decode, preprocess and run the network over files, and nothing else.

`python -m benchmarks.radiology_bare` reads an Errand as JSON and writes the seconds it took as JSON. Each
process has its share of the cores and takes the next files as it gets to them.
"""

from __future__ import annotations

import json
import multiprocessing as mp
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.report import ROOT


@dataclass(frozen=True, slots=True)
class Errand:
    artefact: str
    files: list[str]
    processes: int
    batch: int


def films_per_s(errand: Errand) -> float:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.radiology_bare"], cwd=ROOT, input=json.dumps(asdict(errand)),
        text=True, check=True, stdout=subprocess.PIPE,
    )  # fmt: skip
    return len(errand.files) / float(json.loads(done.stdout))


def run(errand: Errand) -> float:
    """Seconds from when all processes are ready until the last is through."""
    context = mp.get_context("spawn")
    ready, taken = context.Barrier(errand.processes + 1), context.Value("i", 0)
    workers = [context.Process(target=_work, args=(errand, ready, taken)) for _ in range(errand.processes)]
    for one in workers:
        one.start()
    ready.wait()
    begun = time.perf_counter()
    for one in workers:
        one.join()
    took = time.perf_counter() - begun
    if any(one.exitcode for one in workers):
        raise SystemExit("The bare loop failed.")
    return took


def _work(errand: Errand, ready: Any, taken: Any) -> None:
    from ml.radiology.dicom import decode
    from ml.radiology.predict import RadiologyPredictor, onnx_session

    model = RadiologyPredictor.load(Path(errand.artefact))
    threads = max(1, (os.cpu_count() or 1) // errand.processes)
    session = onnx_session(Path(errand.artefact) / "model.onnx", threads)

    def forward(films: list[Any]) -> None:
        session.run(["logits"], {"films": model.preprocessing.normalise(model.preprocessing.squares(films))})

    forward([decode(Path(errand.files[0])).pixels])
    ready.wait()
    while True:
        with taken.get_lock():
            first = taken.value
            taken.value += errand.batch
        part = errand.files[first : first + errand.batch]
        if not part:
            return
        forward([decode(Path(file)).pixels for file in part])


if __name__ == "__main__":
    json.dump(run(Errand(**json.load(sys.stdin))), sys.stdout)
