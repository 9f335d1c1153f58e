"""How many films a second are received by C-STORE: ours and Orthanc, from the same storescu in turns.

Both keep a film's file on the disk, synced, before they say success. What each says of itself is printed.
"""

from __future__ import annotations

import json
import math
import shutil
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg

from benchmarks.radiology_place import SIZES, Drawn, listener
from benchmarks.report import ROOT
from benchmarks.serving_place import Place, free_port, listens

ASSOCIATIONS = (1, 4)
SENT = {0.2: 160, 2.0: 48, 10.0: 16}  # films a round
OURS, ORTHANC = "LYNCEUS", "ORTHANC"
CALLING_AET = "DEMO_MODALITY"  # the node that demo/seed.py enters
Peer = tuple[str, int]  # called AE title, port


def compare(
    place: Place, var: Path, drawn: Drawn, rounds: int
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Rows of films a second, and both sides' settings. Without the programs: no rows, and why."""
    orthanc = shutil.which("Orthanc")
    if not orthanc or not shutil.which("storescu"):
        return [], {"left_out": "Orthanc or DCMTK's storescu is not installed"}
    with listener(place) as port, _orthanc(orthanc, var / "orthanc") as (other, settings):
        sides: tuple[Peer, Peer] = ((OURS, port), other)
        for side in sides:
            _send(side, _films(var, drawn, 0.2, 4), 1)  # warm
        rows = [
            _row(var, drawn, sides, size, associations, rounds)
            for size in SIZES
            for associations in ASSOCIATIONS
        ]
    return rows, {"ours": _our_settings(place), "orthanc": settings}


def geometric_mean(rows: list[dict[str, Any]]) -> float:
    return math.exp(statistics.fmean(math.log(row["ratio"]) for row in rows))


def _row(
    var: Path, drawn: Drawn, sides: tuple[Peer, Peer], size: float, associations: int, rounds: int
) -> dict[str, Any]:
    """Each round sends films nobody has seen to both, forwards and backwards in turns."""
    took: dict[str, list[float]] = {title: [] for title, _ in sides}
    for number in range(rounds):
        films = _films(var, drawn, size, SENT[size])
        for side in sides if number % 2 == 0 else reversed(sides):
            took[side[0]].append(SENT[size] / _send(side, films, associations))
    ratios = [ours / other for ours, other in zip(took[OURS], took[ORTHANC], strict=True)]
    return {
        "part": "cstore", "size_mb": size, "associations": associations,
        "ours_per_s": statistics.median(took[OURS]), "orthanc_per_s": statistics.median(took[ORTHANC]),
        "ratio": statistics.median(ratios), "ratio_low": min(ratios), "ratio_high": max(ratios),
    }  # fmt: skip


def _films(var: Path, drawn: Drawn, size: float, count: int) -> list[Path]:
    folder = var / "to-send"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    films = []
    for number in range(count):
        films.append(folder / f"{number}.dcm")
        films[-1].write_bytes(drawn.film(size, number))
    return films


def _send(side: Peer, films: list[Path], associations: int) -> float:
    """Seconds from the first sender's start to the last one's end."""
    begun = time.perf_counter()
    senders = [start_storescu(side, films[n::associations]) for n in range(associations)]
    failed = [one.wait() for one in senders]
    took = time.perf_counter() - begun
    if any(failed):
        raise SystemExit(f"{side[0]} did not take every film.")
    return took


def start_storescu(side: Peer, films: list[Path]) -> subprocess.Popen[bytes]:
    """It ends with an error where any film's status is no success."""
    title, port = side
    command = ["storescu", "-q", "-aet", CALLING_AET, "-aec", title, "127.0.0.1", str(port)]
    return subprocess.Popen([*command, *map(str, films)])


@contextmanager
def _orthanc(program: str, folder: Path) -> Iterator[tuple[Peer, dict[str, Any]]]:
    folder.mkdir()
    dicom, http = free_port(), free_port()
    given: dict[str, Any] = {
        "StorageDirectory": str(folder / "db"), "IndexDirectory": str(folder / "db"),
        "StorageCompression": False, "SyncStorageArea": True, "DicomAet": ORTHANC, "DicomPort": dicom,
        "HttpPort": http, "RemoteAccessAllowed": False, "AuthenticationEnabled": False,
        "DicomCheckCalledAet": False, "DicomAlwaysAllowStore": True, "Plugins": [],
    }  # fmt: skip
    config = folder / "orthanc.json"
    config.write_text(json.dumps(given))
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([program, str(config)], stdout=log, stderr=log, cwd=folder)
    try:
        listens(dicom)
        listens(http)
        about = httpx.get(f"http://127.0.0.1:{http}/system").json()
        said = {name: about.get(name) for name in ("Version", "DatabaseBackendPlugin", "StorageAreaPlugin")}
        private = ("StorageDirectory", "IndexDirectory", "DicomPort", "HttpPort")
        told = {name: value for name, value in given.items() if name not in private}
        index = "SQLite as Orthanc opens it: journal WAL, synchronous NORMAL"
        yield (ORTHANC, dicom), {**said, **told, "index": index}
    finally:
        process.terminate()
        process.wait()


def _our_settings(place: Place) -> dict[str, Any]:
    with psycopg.connect(place.database_url) as connection:
        found = {
            name: connection.execute(f"SHOW {name}").fetchone()[0]  # type: ignore[index]
            for name in (
                "server_version",
                "fsync",
                "synchronous_commit",
                "full_page_writes",
                "wal_sync_method",
            )
        }
    return {"film": "file and folder synced, then the commit", "postgresql": found, "root": ROOT.name}
