"""A disk that is nearly full takes no film at any door, before the database beside it wants for room."""

from __future__ import annotations

import shutil
from collections import namedtuple
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from apps.core import storage
from apps.core.status import run_checks
from apps.radiology.analysis.services.analyse import analyse_instance
from apps.radiology.common import store
from apps.radiology.models import Instance, Status, Study
from tests.radiology.conftest import film, film_file
from tests.radiology.test_cstore import associate, port, status_of  # noqa: F401
from tests.radiology.test_stow import stow  # noqa: F401

pytestmark = pytest.mark.django_db(transaction=True)
Usage = namedtuple("Usage", "total used free")
MIB = 1024**2
JSON = {"accept": "application/json"}


@pytest.fixture
def free(monkeypatch, settings) -> Callable[[int], AbstractContextManager[Any]]:
    settings.LYNCEUS_DISK_MIN_MB = 512
    monkeypatch.setattr(storage, "LOOK_S", 0.0)
    return lambda mib: monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**12, 0, mib * MIB))


def test_c_store_is_out_of_resources(status_of, free, stored) -> None:  # noqa: F811
    data = film()
    free(511)
    assert status_of(data) == 0xA700
    assert stored() == []
    assert not Study.objects.exists()
    free(513)
    assert status_of(data) == 0x0000


def test_with_the_last_of_the_disk_the_association_ends(associate, free, stored) -> None:  # noqa: F811
    association = associate()
    free(255)
    assert "Status" not in association.send_c_store(film(Rows=600, Columns=600, PixelData=bytes(720_000)))
    association.join(10)
    assert association.is_aborted
    assert stored() == []


@pytest.mark.parametrize("door", ["stow", "browser", "piece"])
def test_over_http_it_is_507(door, stow, radiologist, free, stored) -> None:  # noqa: F811
    free(511)
    answer = sent(door, stow, radiologist)
    assert (answer.status_code, answer.json()["code"]) == (507, "storage_low")
    assert answer.json()["retryable"]
    assert answer["Retry-After"] == "5"
    assert not Study.objects.exists()
    assert [name for name in stored() if name.endswith(".dcm")] == []
    free(513)
    assert sent(door, stow, radiologist).status_code in (200, 202)


def sent(door: str, stow: Any, radiologist: Client) -> Any:  # noqa: F811
    content = film_file()
    if door == "stow":
        return stow(content)
    if door == "browser":
        files = {"files": [SimpleUploadedFile("a.dcm", content)]}
        return radiologist.post("/radiology/upload/", files, headers=JSON)
    begun = radiologist.post(
        "/radiology/uploads/", {"name": "a.dcm", "size": len(content), "fingerprint": "f"}, headers=JSON
    )
    return radiologist.post(
        begun.json()["url"], content, "application/octet-stream", headers={**JSON, "Upload-Offset": "0"}
    )


def test_without_the_look_at_the_disk_the_film_would_be_taken(stow, free, monkeypatch) -> None:  # noqa: F811
    monkeypatch.setattr(store, "storage_is_low", lambda: False)
    free(511)
    assert stow(film_file()).status_code == 200


def test_a_film_that_is_here_waits_for_room(received, free) -> None:
    instance = received()
    free(511)
    analyse_instance(instance.pk)
    instance.refresh_from_db()
    assert (instance.status, instance.reason_code) == (Status.RECEIVED, "disk_failed")
    assert Instance.objects.count() == 1


def test_status_tells_the_room(free) -> None:
    def check() -> Any:
        return next(one for one in run_checks(everything=True) if one.name == "storage")

    free(600)
    assert (check().ok, check().message) == (True, "600 MiB free")
    free(500)
    assert not check().ok
