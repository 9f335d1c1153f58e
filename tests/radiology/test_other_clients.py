"""Other people's programs at the doors: DCMTK over TCP, curl over HTTP."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.db import connection
from pydicom.uid import RLELossless

from apps.radiology.common.store import film_path
from apps.radiology.models import DicomNode, Instance, Study
from tests.clients import program
from tests.integration.running import ROOT, free_port
from tests.radiology.conftest import as_file, film
from tests.radiology.test_cstore import port  # noqa: F401
from tests.radiology.test_stow import body_of

pytestmark = pytest.mark.django_db(transaction=True)
LARGE = 200 * 1024**2
# The listener as it runs in production, over the test's database; with `whole` without its guard.
LISTENER = """
import sys, django
django.setup()
from django.db import connection
from django.core.management import call_command
from pynetdicom import _config
from apps.radiology.management.commands import dicom_listener
connection.settings_dict["NAME"] = sys.argv[1]
real = dicom_listener.start_listener
def whole(**how):
    server = real(**how)
    _config.STORE_RECV_CHUNKED_DATASET = False
    return server
if sys.argv[2] == "whole":
    dicom_listener.start_listener = whole
call_command("dicom_listener")
"""


def dcmtk(name: str, *arguments: str, calling: str = "MODALITY", called: str = "LYNCEUS") -> tuple[int, str]:
    command = [program(name), "-aet", calling, "-aec", called, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def file_of(tmp_path: Path) -> Callable[[bytes], str]:
    def write(content: bytes) -> str:
        path = tmp_path / f"{len(list(tmp_path.glob('*.dcm')))}.dcm"
        path.write_bytes(content)
        return str(path)

    return write


def test_dcmtk_is_answered_where_both_names_are_right(port) -> None:  # noqa: F811
    address = ("127.0.0.1", str(port))
    assert dcmtk("echoscu", *address)[0] == 0
    for titles in ({"calling": "STRANGER"}, {"called": "OTHER"}):
        code, said = dcmtk("echoscu", *address, **titles)
        assert code != 0
        assert "Rejected" in said


def test_dcmtk_stores_and_is_told_of_what_is_not_stored(port, file_of) -> None:  # noqa: F811
    data = film()
    address = ("127.0.0.1", str(port))
    assert dcmtk("storescu", "-R", *address, file_of(as_file(data)))[0] == 0
    instance = Instance.objects.get()
    assert (instance.SOPInstanceUID, instance.origin) == (data.SOPInstanceUID, "c-store")
    other = film(seed=1, SOPInstanceUID=data.SOPInstanceUID, StudyInstanceUID=data.StudyInstanceUID)
    _, said = dcmtk("storescu", "-v", "-R", *address, file_of(as_file(other)))
    assert "0x111" in said
    assert Instance.objects.count() == 1


def test_dcmtk_stores_compressed_films_as_they_are(port, file_of) -> None:  # noqa: F811
    data = film()
    data.compress(RLELossless, generate_instance_uid=False)
    assert dcmtk("storescu", "-R", "-xr", "127.0.0.1", str(port), file_of(as_file(data)))[0] == 0
    assert Instance.objects.get().TransferSyntaxUID == RLELossless


@contextmanager
def listener_of_its_own(var: Path, how: str) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    number = free_port()
    environment = {
        **os.environ, "DJANGO_SETTINGS_MODULE": "config.settings.test", "LYNCEUS_VAR": str(var),
        "LYNCEUS_DICOM_PORT": str(number), "LYNCEUS_DICOM_HOST": "127.0.0.1",
    }  # fmt: skip
    command = [sys.executable, "-c", LISTENER, str(connection.settings_dict["NAME"]), how]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        assert "listens" in process.stdout.readline()
        yield number, process
    finally:
        process.terminate()
        process.wait(30)


def peak_bytes(process: subprocess.Popen[str]) -> int:
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


def grown_by_a_large_film(site, var: Path, how: str, file_of) -> tuple[int, str]:
    DicomNode.objects.create(site=site, AETitle="MODALITY")
    frame = 1024 * 1024 * 2
    data = film(Rows=1024, Columns=1024, NumberOfFrames=LARGE // frame, PixelData=bytes(LARGE))
    path = file_of(as_file(data))
    small = file_of(as_file(film(seed=1)))
    with listener_of_its_own(var, how) as (number, process):
        address = ("127.0.0.1", str(number))
        dcmtk("storescu", "-R", *address, small)
        before = peak_bytes(process)
        _, said = dcmtk("storescu", "-v", "-R", *address, path)
        return peak_bytes(process) - before, said


def test_a_film_of_200_mb_does_not_grow_the_listener(site, folders, file_of) -> None:
    grown, _ = grown_by_a_large_film(site, folders, "chunked", file_of)
    instance = Instance.objects.get(NumberOfFrames=100)
    assert instance.file_bytes > LARGE
    assert film_path(site, instance.file_sha256).stat().st_size == instance.file_bytes
    assert grown < 32 * 1024**2


def test_received_whole_it_would(site, folders, file_of) -> None:
    grown, _ = grown_by_a_large_film(site, folders, "whole", file_of)
    assert grown > LARGE


def test_curl_stores_and_fetches(live_server, token, tmp_path) -> None:
    data, body, back = film(), tmp_path / "body", tmp_path / "back"
    body.write_bytes(body_of(as_file(data)))
    study = f"{live_server.url}/dicom-web/studies"
    kind = 'Content-Type: multipart/related; type="application/dicom"; boundary=xyz'
    asked = [program("curl"), "-sS", "-H", f"Authorization: Bearer {token}"]
    send = [*asked, "-H", kind, "--data-binary", f"@{body}", "-w", "%{http_code} %{content_type}", "-o", back]
    done = subprocess.run([*send, study], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "200 application/dicom+json"
    fetch = [*asked, "-o", back, f"{study}/{data.StudyInstanceUID}"]
    subprocess.run(fetch, timeout=60, check=True)
    assert as_file(data) in back.read_bytes()
    assert Study.objects.count() == 1
