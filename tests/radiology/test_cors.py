"""A viewer in a browser from another origin: let in where it is named, and never with a cookie."""

from __future__ import annotations

from typing import Any

import pytest

from apps.radiology.api import cors

VIEWER, OTHER = "https://viewer.example.org", "https://other.example.org"
ALLOWED = "Access-Control-Allow-Origin"


@pytest.fixture
def named(settings) -> None:
    settings.LYNCEUS_DICOMWEB_ORIGINS = [VIEWER]


def ask_before(client: Any, origin: str, path: str = "/dicom-web/studies") -> Any:
    headers = {"origin": origin, "access-control-request-method": "GET",
               "access-control-request-headers": "authorization,accept"}  # fmt: skip
    return client.options(path, headers=headers)


def ask(client: Any, token: str, origin: str, path: str = "/dicom-web/studies") -> Any:
    return client.get(path, headers={"origin": origin, "authorization": f"Bearer {token}"})


def test_it_works(client, token, take, named) -> None:
    take()
    before = ask_before(client, VIEWER)
    assert (before.status_code, before[ALLOWED]) == (204, VIEWER)
    assert "authorization" in before["Access-Control-Allow-Headers"]
    assert "GET" in before["Access-Control-Allow-Methods"]
    answer = ask(client, token, VIEWER)
    assert (answer.status_code, answer[ALLOWED]) == (200, VIEWER)
    assert "Origin" in answer["Vary"]
    for told in (before, answer):
        assert "Access-Control-Allow-Credentials" not in told  # no session of another page's visitor


def test_a_refusal_can_be_read_too(client, named) -> None:
    answer = client.get("/dicom-web/studies", headers={"origin": VIEWER})
    assert (answer.status_code, answer[ALLOWED]) == (401, VIEWER)


def test_who_is_not_named_is_not_let_in(client, token, take, named, settings) -> None:
    take()
    assert ALLOWED not in ask_before(client, OTHER)
    assert ALLOWED not in ask(client, token, OTHER)
    assert "Origin" in ask(client, token, OTHER)["Vary"]
    settings.LYNCEUS_DICOMWEB_ORIGINS = []  # as it is unless somebody sets it
    assert ALLOWED not in ask(client, token, VIEWER)


def test_other_doors_stay_shut(client, token, named) -> None:
    for path in ("/api/v1/openapi.json", "/radiology/", "/dicom-webs"):
        assert ALLOWED not in ask(client, token, VIEWER, path)


def test_without_the_list_anybody_would_be_let_in(client, token, take, named, monkeypatch) -> None:
    class Everybody(list[str]):
        def __contains__(self, origin: object) -> bool:
            return True

    monkeypatch.setattr(cors.settings, "LYNCEUS_DICOMWEB_ORIGINS", Everybody([VIEWER]))
    take()
    assert ask(client, token, OTHER)[ALLOWED] == OTHER
