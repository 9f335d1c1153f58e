"""How fast films come in and are analysed, on PostgreSQL, with everything on this machine.

    python -m benchmarks.radiology_serving [--films 96] [--rounds 4] [--cstore-rounds 6]

worker_vs_bare_loop: films that wait, a real imaging worker until the last one is finished, pictures and
findings stored; against a bare loop of decode, preprocessing and network over the same files, with as many
processes and as large batches as suit it best. visible_p50_s: one film at a time, from when storescu starts
until the API tells its findings. cstore_vs_orthanc: films a second received, the geometric mean over sizes
and associations.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pydicom

from benchmarks.radiology_bare import Errand, films_per_s
from benchmarks.radiology_cstore import compare, geometric_mean, start_storescu
from benchmarks.radiology_place import SIZES, Drawn, artefact, draw, imaging, listener, with_model
from benchmarks.report import report
from benchmarks.serving_place import Place, python

PROCESSES, BATCHES = (1, 2, 3), (1, 4, 16)
SHOWN = 30  # films sent one at a time
PATIENCE_S = 300.0
INGEST = """
import django, sys; django.setup()
from pathlib import Path
from apps.radiology.models import DicomNode
from apps.radiology.intake.services.ingest import ingest_instance
from apps.radiology.common.services.senders import node_sender
from apps.radiology.common.store import incoming
sender = node_sender(DicomNode.objects.select_related("site").get())
for file in sorted(Path(sys.argv[1]).iterdir()):
    with incoming() as path:
        path.write_bytes(file.read_bytes())
        ingest_instance(path, sender=sender)
"""
# As if none had been analysed; then a bell for each, as when it was received.
AGAIN = """
import django; django.setup()
from apps.core.bell import ring
from apps.radiology.models import Analysis, Instance
from apps.radiology.studies.services.studies import TASK
from apps.radiology.common.store import picture_path
Analysis.objects.all().delete()
for one in Instance.objects.select_related("site"):
    picture_path(one.site, one.file_sha256).unlink(missing_ok=True)
Instance.objects.update(status="received", reason_code="", attempts=0, has_picture=False, analysed_at=None)
import time; print(time.time(), flush=True)
for pk in Instance.objects.order_by("pk").values_list("pk", flat=True):
    ring(TASK, pk)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--cstore-rounds", type=int, default=6)
    parser.add_argument("--parts", default="worker,visible,cstore")
    given = parser.parse_args()
    parts = given.parts.split(",")
    table: list[dict[str, Any]] = []
    measures: dict[str, float] = {}
    more: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="lyn-") as folder:
        var = Path(folder)
        drawn, place = draw(), with_model(var / "var")
        with imaging(place):
            if "worker" in parts:
                rows, measures, more = worker_rows(place, drawn, var / "films", given.films, given.rounds)
                table += rows
            if "visible" in parts:
                shown = visible_row(place, drawn, var)
                table.append(shown)
                measures["visible_p50_s"] = shown["sent_p50_s"]
        if "cstore" in parts:
            rows, more["cstore"] = compare(place, var, drawn, given.cstore_rounds)
            table += rows
            if rows:
                measures["cstore_vs_orthanc"] = geometric_mean(rows)
    report("radiology_serving", table, measures, films=given.films, rounds=given.rounds, **more)


def worker_rows(
    place: Place, drawn: Drawn, folder: Path, count: int, rounds: int
) -> tuple[list[dict[str, Any]], dict[str, float], dict[str, Any]]:
    folder.mkdir()
    for number, content in enumerate(drawn.mixed(count)):
        (folder / f"{number:04d}.dcm").write_bytes(content)
    python(place, "-c", INGEST, str(folder))
    _wait_until_done(place)
    files, model = sorted(map(str, folder.iterdir())), str(artefact(place))
    sweep = [
        {"processes": processes, "batch": batch,
         "films_per_s": films_per_s(Errand(model, files, processes, batch))}
        for processes, batch in itertools.product(PROCESSES, BATCHES)
    ]  # fmt: skip
    best = max(sweep, key=lambda row: row["films_per_s"])
    errand = Errand(model, files, int(best["processes"]), int(best["batch"]))
    ours, bare = [], []
    for number in range(rounds):
        for turn in ("worker", "bare")[:: 1 if number % 2 == 0 else -1]:
            if turn == "worker":
                ours.append(worker_films_per_s(place, count))
            else:
                bare.append(films_per_s(errand))
    ratios = [one / other for one, other in zip(ours, bare, strict=True)]
    row = {
        "part": "worker", "films": count, "megabytes": sum(Path(one).stat().st_size for one in files) / 1e6,
        "worker_films_per_s": statistics.median(ours), "bare_films_per_s": statistics.median(bare),
        "bare_processes": best["processes"], "bare_batch": best["batch"],
        "ratio": statistics.median(ratios), "ratio_low": min(ratios), "ratio_high": max(ratios),
        "analysed_share": _analysed(place) / count,
    }  # fmt: skip
    return [row], {"worker_vs_bare_loop": row["ratio"]}, {"bare_sweep": sweep}


def worker_films_per_s(place: Place, count: int) -> float:
    """From the first bell until nothing waits."""
    begun = float(python(place, "-c", AGAIN).split()[0])
    _wait_until_done(place)
    return count / (time.time() - begun)


def _wait_until_done(place: Place) -> None:
    query = "SELECT EXISTS (SELECT FROM radiology_instance WHERE status IN ('received', 'analysing'))"
    end = time.monotonic() + PATIENCE_S
    with psycopg.connect(place.database_url, autocommit=True) as connection:
        while time.monotonic() < end:
            if not connection.execute(query).fetchall()[0][0]:
                return
            time.sleep(0.05)
    raise SystemExit("The worker did not finish.")


def _analysed(place: Place) -> int:
    with psycopg.connect(place.database_url) as connection:
        return int(connection.execute("SELECT count(*) FROM radiology_analysis").fetchall()[0][0])


def visible_row(place: Place, drawn: Drawn, var: Path) -> dict[str, Any]:
    """Sizes in turns; the next film is sent when the last one's findings are seen."""
    sent, stored = [], []
    asked = {"Authorization": f"Bearer {place.token}"}
    with (
        listener(place) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{place.port}", headers=asked) as api,
    ):
        for number in range(SHOWN + len(SIZES)):
            path = var / "one.dcm"
            path.write_bytes(drawn.film(SIZES[number % len(SIZES)], number))
            uid = pydicom.dcmread(path, stop_before_pixels=True).StudyInstanceUID
            begun = time.perf_counter()
            if start_storescu(("LYNCEUS", port), [path]).wait():
                raise SystemExit("The film was not taken.")
            success = time.perf_counter()
            _wait_for_findings(api, uid)
            seen = time.perf_counter()
            if number >= len(SIZES):  # the first of each size warm the listener
                sent.append(seen - begun)
                stored.append(seen - success)
    return {
        "part": "visible", "films": SHOWN, "sent_p50_s": statistics.median(sent),
        "sent_most_s": max(sent), "success_p50_s": statistics.median(stored), "success_most_s": max(stored),
    }  # fmt: skip


def _wait_for_findings(api: httpx.Client, uid: str) -> None:
    """Or for the word that there are none to come."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        status = api.get(f"/api/v1/studies/{uid}").raise_for_status().json()["status"]
        if status not in ("received", "analysing"):
            return
        time.sleep(0.02)
    raise SystemExit("The film was not analysed.")


if __name__ == "__main__":
    main()
