"""/status tells which process has loaded which version, and whether that process still answers."""

from __future__ import annotations

from django.db import DatabaseError
from django.test import Client

from apps.core import status
from apps.core.models import LoadedPart


def test_the_latest_load_of_a_process_counts(db: None) -> None:
    status.note_loaded("fraud model", "version 1")
    status.note_loaded("fraud model", "version 2")
    [row] = status.loaded_parts(None)
    assert (row["part"], row["says"], row["alive"]) == ("fraud model", "version 2", None)
    assert row["process"].startswith("web@")


def test_a_worker_that_does_not_answer_is_gone(site) -> None:
    for process in ("realtime@a", "realtime@b"):
        LoadedPart.objects.create(
            process=process, part="fraud model", says="version 1", at="2026-01-01T00:00Z"
        )
    rows = status.loaded_parts({"realtime@a": ["realtime"]})
    assert {row["process"]: row["alive"] for row in rows} == {"realtime@a": True, "realtime@b": False}
    status.forget_loaded("realtime@b")
    assert [row["process"] for row in status.loaded_parts({})] == ["realtime@a"]


def test_the_page_and_the_document_show_it(client: Client, make_user) -> None:
    client.force_login(make_user("operator"))
    assert "No process has loaded a model yet" in client.get("/status/").content.decode()
    status.note_loaded("fraud model", "version 7")
    assert "version 7" in client.get("/status/").content.decode()
    document = client.get("/status/", headers={"accept": "application/json"}).json()
    assert [one["says"] for one in document["loaded"]] == ["version 7"]
    client.force_login(make_user("radiologist"))
    assert "version 7" not in client.get("/status/").content.decode()


def test_a_failure_to_note_fails_nobody(db: None, monkeypatch) -> None:
    def broken(**_: object) -> None:
        raise DatabaseError

    monkeypatch.setattr(LoadedPart.objects, "update_or_create", broken)
    status.note_loaded("fraud model", "version 1")
