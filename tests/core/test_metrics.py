"""/metrics: this host only, nobody through a proxy on it, or whoever has the token."""

from __future__ import annotations

import pytest
from django.db import DatabaseError
from django.test import Client

from apps.core import metrics, views

PROXIED = [
    {"x-forwarded-for": "192.0.2.7"},
    {"forwarded": "for=192.0.2.7"},
    {"x-real-ip": "192.0.2.7"},
    {"x-forwarded-proto": "https"},
    {"via": "1.1 proxy"},
]


def test_a_scraper_on_this_host_is_answered(client: Client, db) -> None:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert b"python_info" in answer.content


@pytest.mark.parametrize("headers", PROXIED)
def test_a_proxy_on_this_host_lets_nobody_in(client: Client, db, headers) -> None:
    assert client.get("/metrics", headers=headers).status_code == 404


def test_without_that_check_a_proxy_would_open_it(client: Client, db, monkeypatch) -> None:
    monkeypatch.setattr(views, "FORWARDED", ())
    assert client.get("/metrics", headers=PROXIED[0]).status_code == 200


def test_with_a_token_set_the_token_alone_opens(client: Client, db, settings) -> None:
    settings.LYNCEUS_METRICS_TOKEN = "a token"
    right = {"authorization": "Bearer a token"}
    assert client.get("/metrics").status_code == 404
    assert client.get("/metrics", headers={"authorization": "Bearer another"}).status_code == 404
    assert client.get("/metrics", headers={**right, **PROXIED[0]}, REMOTE_ADDR="192.0.2.7").status_code == 200


def test_it_counts_answers_by_route_and_never_by_path(client: Client, db) -> None:
    client.get("/api/v1/decisions/secret-event-id")
    text = client.get("/metrics").content.decode()
    assert 'route="api/v1/decisions/<event_id>"' in text
    assert "secret-event-id" not in text


def test_it_says_what_waits_in_the_database(client: Client, db) -> None:
    text = client.get("/metrics").content.decode()
    for queue in ("realtime", "imaging", "training", "exchange", "shadow", "default"):
        assert f'lynceus_queue_waiting{{queue="{queue}"}} 0.0' in text


def test_it_answers_while_the_database_is_away(client: Client, db, monkeypatch) -> None:
    def away() -> None:
        raise DatabaseError

    monkeypatch.setattr(metrics, "queue_ages", away)
    text = client.get("/metrics").content.decode()
    assert "lynceus_http_seconds" in text
