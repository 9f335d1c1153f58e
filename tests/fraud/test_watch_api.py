"""The overview's lists for programs: by scope, by site, page by page with a cursor."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from apps.accounts.models import ApiClient, Site
from apps.accounts.services import rotate_secret
from apps.audit.models import AuditEvent
from apps.core.clock import now
from apps.fraud.api.watch_api import MovedOut, PeriodOut
from apps.fraud.watch.services import counts
from apps.fraud.watch.watch_lists import DRIFT, EVENTS, PERIODS
from apps.fraud.wire.decision_schemas import ListedOut
from tests.fraud.conftest import drain_all, event
from tests.fraud.test_counts import decided as decided
from tests.fraud.test_watch import judged as judged


@pytest.fixture
def read(client: Client, site) -> Any:
    program = ApiClient.objects.create(site=site, name="reader", scopes=["fraud"])
    token = rotate_secret(program)

    def get(path: str, **query: Any) -> Any:
        return client.get(f"/api/v1/{path}", query, headers={"authorization": f"Bearer {token}"})

    return get


def test_it_works(read, judged) -> None:
    found = read("decisions", outcome="decline").json()
    [item] = found["items"]
    assert found["next"] is None
    assert (item["event_id"], item["decision"], item["known"], item["card"]) == (
        "d0",
        "decline",
        "legitimate",
        "…-d0",
    )
    assert item["rescored"] is None
    assert "card-d0" not in str(found)
    assert AuditEvent.objects.get(action="decisions.listed").actor.startswith("client:")


def test_the_cursor_leads_through_all_of_them_once(read, judged) -> None:
    seen: list[str] = []
    cursor = ""
    while cursor is not None:
        page = read("decisions", limit=5, cursor=cursor).json()
        seen += [item["event_id"] for item in page["items"]]
        cursor = page["next"]
    assert len(seen) == len(set(seen)) == 13


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"cursor": "nobody's"}, "bad_cursor"),
        ({"since": "2026-01-01T00:00:00Z", "until": "2026-12-01T00:00:00Z"}, "bad_period"),
        ({"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}, "bad_period"),
        ({"limit": 501}, "invalid_request"),
        ({"outcome": "other"}, "invalid_request"),
        ({"source": "no such"}, "invalid_request"),
        ({"since": "2026-01-01T00:00:00"}, "invalid_request"),
    ],
)
def test_what_makes_no_sense_is_refused(read, query: dict[str, Any], code: str) -> None:
    answer = read("decisions", **query)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_periods_are_those_of_the_page(read, judged) -> None:
    found = read("watch/periods", days=7).json()
    assert len(found["items"]) == 7 and found["next"] is None
    total = {
        name: sum(one[name] for one in found["items"]) for name in ("n", "review", "decline", "good_declined")
    }
    assert total == {"n": 13, "review": 2, "decline": 1, "good_declined": 1}
    first = read("watch/periods", days=7, limit=3).json()
    rest = read("watch/periods", days=7, cursor=first["next"]).json()
    again = first["items"] + rest["items"]
    assert [(one["start"], one["n"]) for one in again] == [(one["start"], one["n"]) for one in found["items"]]


def test_drift_says_why_there_is_none(read, champion, post) -> None:
    post(event())
    drain_all()
    counts.count_due()
    found = read("watch/drift").json()
    assert (found["version"], found["n"], found["items"]) == (1, 1, [])
    assert "say nothing yet" in found["why_not"]


def test_drift_by_feature(read, champion, post, monkeypatch) -> None:
    monkeypatch.setattr("apps.fraud.watch.drift.ENOUGH", 1)
    post(event())
    drain_all()
    counts.count_due()
    found = read("watch/drift").json()
    assert found["items"][0]["feature"] == "score"
    assert {item["drifted"] for item in found["items"]} <= {"yes", "no"}


def test_another_sites_events_are_not_there(client: Client, judged) -> None:
    south = Site.objects.create(slug="south", name="South")
    token = rotate_secret(ApiClient.objects.create(site=south, name="s", scopes=["fraud"]))
    headers = {"authorization": f"Bearer {token}"}
    assert client.get("/api/v1/decisions", headers=headers).json()["items"] == []
    assert sum(one["n"] for one in client.get("/api/v1/watch/periods", headers=headers).json()["items"]) == 0


def test_an_analyst_may_ask_too_and_others_may_not(client: Client, make_user, judged) -> None:
    client.force_login(make_user("fraud_analyst"))
    assert len(client.get("/api/v1/decisions").json()["items"]) == 13
    client.force_login(make_user("ml_admin"))
    assert client.get("/api/v1/decisions").status_code == 403


def test_programs_are_told_the_columns_that_exports_hold() -> None:
    assert [*(column.name for column in EVENTS), "rescored"] == list(ListedOut.model_fields)
    for columns, schema in ((PERIODS, PeriodOut), (DRIFT, MovedOut)):
        assert [column.name for column in columns] == list(schema.model_fields)


def test_old_events_are_there_when_they_are_asked_for(read, judged) -> None:
    since = (now() - timedelta(days=60)).isoformat()
    assert len(read("decisions", since=since).json()["items"]) == 13
    assert (
        read("decisions", since=since, until=(now() - timedelta(days=30)).isoformat()).json()["items"] == []
    )
