"""The product as `make demo` starts it, over a PostgreSQL database of its own, used from outside."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil
import pydicom
from pynetdicom import AE
from standardwebhooks import Webhook

from apps.core.clock import now

ROOT = Path(__file__).resolve().parents[2]
START_S = 400.0
T = TypeVar("T")


def eventually(look: Callable[[], T], *, within_s: float = 60.0, of: str = "it") -> T:
    """The first true answer of `look`; fails the test after `within_s` seconds."""
    end, pause = time.monotonic() + within_s, threading.Event()
    while time.monotonic() < end:
        if answer := look():
            return answer
        pause.wait(0.1)
    raise AssertionError(f"{of} did not happen within {within_s:.0f} s")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Running:
    """A demo that can be stopped and started again; `facts` is its demo.json."""

    def __init__(self, var: Path, database_url: str, **changes: str) -> None:
        self.var = var
        self.environment = {
            **os.environ, "DATABASE_URL": database_url, "LYNCEUS_VAR": str(var), "LYNCEUS_DEMO_SIZE": "tiny",
            "LYNCEUS_PORT": str(free_port()), "LYNCEUS_DICOM_PORT": str(free_port()),
            "LYNCEUS_DEMO": "", "REDIS_URL": "", "DJANGO_SETTINGS_MODULE": "config.settings.dev",
            **changes,
        }  # fmt: skip
        self.said = var / "said.txt"

    def start(self) -> None:
        """Returns when demo.json is there."""
        self.launch()
        eventually(lambda: self.summary.exists() or self._ended(), within_s=START_S, of="the start")
        self.facts = json.loads(self.summary.read_text())

    def launch(self) -> None:
        with self.said.open("a") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "demo"], cwd=ROOT, env=self.environment, stdout=said,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def _ended(self) -> bool:
        if self.process.poll() is not None:
            log = self.var / "demo.log"
            told = self.said.read_text()[-3000:] + (log.read_text()[-3000:] if log.exists() else "")
            raise AssertionError(f"the demo ended with {self.process.returncode}:\n{told}")
        return False

    @property
    def summary(self) -> Path:
        return self.var / "demo.json"

    def processes(self) -> list[psutil.Process]:
        """Everything it started: its descendants, and whatever carries the mark of its environment."""
        found = set()
        for process in psutil.process_iter():
            try:
                if process.pid == self.process.pid:
                    found |= {process, *process.children(recursive=True)}
                elif process.environ().get("LYNCEUS_VAR") == str(self.var):
                    found.add(process)
            except psutil.Error:
                continue
        return list(found)

    def left(self) -> list[str]:
        """Command lines of what still runs; a dead process its parent has not read yet does not."""
        alive = []
        for process in self.processes():
            with suppress(psutil.Error):
                if process.status() != psutil.STATUS_ZOMBIE:
                    alive.append(" ".join(process.cmdline()))
        return alive

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        os.killpg(self.process.pid, number)
        self.process.wait(timeout=60)

    def http(self, **headers: str) -> httpx.Client:
        return httpx.Client(base_url=self.facts["base_url"], headers=headers, timeout=30)

    def as_program(self) -> httpx.Client:
        return self.http(Authorization=f"Bearer {self.facts['api_token']}")

    @contextmanager
    def as_person(self, name: str) -> Iterator[httpx.Client]:
        """Signed in through the page that people use."""
        account = self.facts["accounts"][name]
        with self.http(Referer=self.facts["base_url"]) as client:
            client.get("/accounts/login/")
            form = {"login": account["email"], "password": account["password"]}
            answer = client.post(
                "/accounts/login/", data={**form, "csrfmiddlewaretoken": client.cookies["csrftoken"]}
            )
            assert answer.status_code == 302, answer.status_code
            yield client

    def store_by_dimse(self, film: Path) -> int:
        """The status of one C-STORE."""
        facts, dataset = self.facts["dicom"], pydicom.dcmread(film)
        entity = AE(ae_title=facts["calling_aet"])
        entity.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
        association = entity.associate(facts["host"], facts["port"], ae_title=facts["called_aet"])
        assert association.is_established
        status = int(association.send_c_store(dataset).Status)
        association.release()
        return status

    def store_by_http(self, films: list[Path]) -> httpx.Response:
        """One STOW-RS request."""
        part = b"--frontier\r\nContent-Type: application/dicom\r\n\r\n"
        body = b"".join(part + film.read_bytes() + b"\r\n" for film in films) + b"--frontier--\r\n"
        kind = 'multipart/related; type="application/dicom"; boundary=frontier'
        with self.as_program() as client:
            url = f"{self.facts['dicomweb_url']}/studies"
            return client.post(url, content=body, headers={"Content-Type": kind})

    def study_of(self, film: Path) -> dict[str, Any]:
        """What the API says of the film's study."""
        uid = pydicom.dcmread(film, stop_before_pixels=True).StudyInstanceUID
        with self.as_program() as client:
            return client.get(f"/api/v1/studies/{uid}").raise_for_status().json()

    def send_events(self, body: Any, door: str = "/api/v1/transactions", **changes: str) -> httpx.Response:
        """Signed with an implementation of Standard Webhooks that is not ours. `door` may be a whole URL."""
        content = json.dumps(body)
        secret = changes.pop("secret", self.facts["webhook"]["secret"])
        moment = now()
        headers = {
            "content-type": "application/json",
            "lynceus-source": self.facts["webhook"]["source"],
            "webhook-id": "msg_1",
            "webhook-timestamp": str(int(moment.timestamp())),
            "webhook-signature": Webhook(secret).sign("msg_1", moment, content),
            **changes,
        }
        with self.http() as client:
            return client.post(door, content=content, headers=headers)


@contextmanager
def running(var: Path, database_url: str, **changes: str) -> Iterator[Running]:
    demo = Running(var, database_url, **changes)
    with ended_after(demo):
        demo.start()
        yield demo


@contextmanager
def ended_after(demo: Running) -> Iterator[None]:
    try:
        yield
    finally:
        if demo.process.poll() is None:
            demo.stop(signal.SIGTERM)
        for process in demo.processes():
            process.kill()
