"""Archives that take reports, entered as destinations, and what the worker does."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from apps.accounts.models import Site
from apps.core.clock import now
from apps.core.encryption import encrypt
from apps.radiology.models import (
    Destination,
    Dispatch,
    Study,
)
from apps.radiology.tasks import make_reports, send_reports
from tests.clients import program
from tests.fraud.listener import Listener
from tests.integration.running import eventually, free_port


@pytest.fixture
def pacs(site: Site, tmp_path: Path) -> Iterator[Path]:
    """DCMTK's storescp, entered as a destination; the folder it stores into."""
    port, folder = free_port(), tmp_path / "pacs"
    folder.mkdir()
    command = [program("storescp"), "-od", str(folder), "-aet", "PACS", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    eventually(lambda: listens(port))
    enter(site, name="PACS", AETitle="PACS", host="127.0.0.1", port=port)
    yield folder
    process.terminate()
    process.wait(30)


def listens(port: int) -> bool:
    with socket.socket() as knock:
        return knock.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def stow(site: Site) -> Iterator[Listener]:
    """A STOW-RS server of somebody else, entered as a destination with a bearer token."""
    server = Listener()
    to = enter(site, name="Archive", stow_url=server.url)
    to.bearer = encrypt("a secret", bound_to=to.seal)
    to.save()
    yield server
    server.server.shutdown()


def enter(site: Site, **given: Any) -> Destination:
    destination = Destination(site=site, **given)
    destination.full_clean()
    destination.save()
    return destination


def work() -> None:
    """What the worker does, as often as it is rung for."""
    make_reports.run()
    send_reports.run()


def checked_by(client: Client, study: Study) -> None:
    """A second read is asked for, given and signed."""
    door = f"/radiology/studies/{study.public_id}"
    client.post(f"{door}/second-read/")
    for button in ("", "commit/", "sign/"):
        assert client.post(f"{door}/read/{button}", {"verdict-0": "absent", "text": ""}).status_code == 302


def make_due() -> None:
    Dispatch.objects.update(due_at=now() - timedelta(seconds=1))
