"""A real Orthanc: an archive that sends films here, is asked for others, and takes what we send."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from pydicom.dataset import Dataset

from tests.clients import program
from tests.integration.running import eventually, free_port
from tests.radiology.conftest import as_file

TITLE = "ORTHANC"


@dataclass(frozen=True, slots=True)
class Orthanc:
    """`port` speaks DICOM, `http` is its own interface."""

    port: int
    http: httpx.Client

    def take(self, *films: Dataset) -> list[str]:
        """Store films; its own ids of them."""
        return [self.http.post("/instances", content=as_file(film)).json()["ID"] for film in films]

    def knows(self, title: str, port: int) -> None:
        self.http.put(f"/modalities/{title}", json={"AET": title, "Host": "127.0.0.1", "Port": port})

    def send(self, title: str, *ids: str) -> dict[str, Any]:
        """By C-STORE; what it says of it."""
        answer = self.http.post(f"/modalities/{title}/store", json=list(ids), timeout=60)
        said: dict[str, Any] = answer.json() | {"http": answer.status_code}
        return said

    def holds(self) -> set[str]:
        """SOPInstanceUIDs."""
        rows = self.http.get("/instances?expand").json()
        return {row["MainDicomTags"]["SOPInstanceUID"] for row in rows}

    def empty(self) -> None:
        for study in self.http.get("/studies").json():
            self.http.delete(f"/studies/{study}")
        self.forget()

    def forget(self) -> None:
        """It knows no other application entity."""
        for title in self.http.get("/modalities").json():
            self.http.delete(f"/modalities/{title}")


@contextmanager
def orthanc_running() -> Iterator[Orthanc]:
    with tempfile.TemporaryDirectory() as folder:
        dicom, http = free_port(), free_port()
        given = {
            "StorageDirectory": f"{folder}/db", "IndexDirectory": f"{folder}/db", "DicomAet": TITLE,
            "DicomPort": dicom, "HttpPort": http, "RemoteAccessAllowed": False, "Plugins": [],
            "AuthenticationEnabled": False, "DicomAlwaysAllowStore": True, "DicomAlwaysAllowFind": True,
            "DicomCheckCalledAet": True,
        }  # fmt: skip
        config = Path(folder) / "orthanc.json"
        config.write_text(json.dumps(given))
        with (Path(folder) / "log").open("w") as log:
            process = subprocess.Popen([program("Orthanc"), str(config)], stdout=log, stderr=log, cwd=folder)
        try:
            # It ends idle connections by its own clock: none is used twice.
            once = httpx.Limits(max_keepalive_connections=0)
            with httpx.Client(base_url=f"http://127.0.0.1:{http}", limits=once) as client:
                eventually(lambda: _answers(client), of="Orthanc's start")
                yield Orthanc(dicom, client)
        finally:
            process.terminate()
            process.wait(30)


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/system").status_code == 200
    except httpx.TransportError:
        return False
