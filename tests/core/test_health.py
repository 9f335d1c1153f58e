"""What a load balancer and an operator see, with the broker away: pages open and name what is down."""

from __future__ import annotations

import pytest
from django.db.migrations.executor import MigrationExecutor
from django.test import Client

from apps.accounts.models import Role
from apps.core import status as core_status


def test_livez_asks_nothing_of_anyone(client: Client) -> None:
    assert client.get("/livez").content == b"alive\n"


@pytest.mark.django_db
def test_ready_without_a_broker(client: Client) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 200
    asked = {check["name"] for check in answer.json()["checks"]}
    assert asked == {"database", "migrations", "demo", "fraud model of this process"}


@pytest.mark.django_db
def test_not_ready_until_the_demo_is_prepared(client: Client, settings, tmp_path) -> None:
    settings.LYNCEUS_DEMO_GATE = str(tmp_path / "demo.json")
    assert client.get("/readyz").status_code == 503
    (tmp_path / "demo.json").write_text("{}")
    assert client.get("/readyz").status_code == 200


@pytest.mark.django_db
def test_a_failing_check_hides_the_drivers_message(client: Client, make_user, monkeypatch) -> None:
    def broken() -> str:
        raise ConnectionError("postgres://user:hunter2@host")

    monkeypatch.setitem(core_status._readiness, "database", broken)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert b"Error" not in answer.content
    client.force_login(make_user("operator"))
    page = client.get("/status/")
    assert b"hunter2" not in page.content
    assert b"ConnectionError" in page.content


@pytest.mark.django_db
def test_strangers_learn_names_and_no_more(client: Client) -> None:
    assert all(set(check) == {"name", "ok"} for check in client.get("/readyz").json()["checks"])


def plans_made(client: Client, monkeypatch) -> int:
    made = []

    def counting(connection: object) -> MigrationExecutor:
        made.append(connection)
        return MigrationExecutor(connection)

    monkeypatch.setattr(core_status, "MigrationExecutor", counting)
    for _ in range(3):
        assert client.get("/readyz").status_code == 200
    return len(made)


@pytest.mark.django_db
def test_migrations_are_looked_at_until_all_are_applied(client: Client, monkeypatch) -> None:
    core_status._migrations.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(MigrationExecutor, "migration_plan", lambda self, targets: ["one"])
        assert client.get("/readyz").status_code == 503
    assert plans_made(client, monkeypatch) == 1


@pytest.mark.django_db
def test_without_the_memory_each_call_would_look(client: Client, monkeypatch) -> None:
    monkeypatch.setitem(core_status._readiness, "migrations", core_status._migrations.__wrapped__)
    assert plans_made(client, monkeypatch) == 3


def test_status_names_the_dead_broker(client: Client, make_user) -> None:
    client.force_login(make_user("operator"))
    page = client.get("/status/")
    assert page.status_code == 200
    assert "unknown: the broker is down" in page.content.decode()
    document = client.get("/status/", headers={"accept": "application/json"}).json()
    assert {check["name"]: check["ok"] for check in document["checks"]}["broker"] is False
    queues = ["realtime", "imaging", "training", "exchange", "shadow", "default"]
    assert [queue["name"] for queue in document["queues"]] == queues


@pytest.mark.django_db
def test_status_is_not_for_strangers(client: Client) -> None:
    assert client.get("/status/").headers["Location"].startswith("/accounts/login/")


@pytest.mark.parametrize("role", Role.values)
def test_who_only_works_here_hears_which_part_is_down_and_no_more(client, make_user, role) -> None:
    client.force_login(make_user(role))
    document = client.get("/status/", headers={"accept": "application/json"}).json()
    page = client.get("/status/").content.decode()
    assert {check["name"]: check["ok"] for check in document["checks"]}["broker"] is False
    full = role in {"operator", "ml_admin", "auditor"}
    assert ("message" in document["checks"][0]) is full
    assert ("pending" in document["queues"][0]) is full
    assert ("Waiting" in page) is full


HOMES = [
    ("radiologist", "/radiology/"), ("fraud_analyst", "/fraud/"), ("auditor", "/audit/"),
    ("ml_admin", "/"), ("operator", "/status/"), ("operator", "/admin/"),
]  # fmt: skip


@pytest.mark.parametrize(("role", "path"), HOMES)
def test_with_everything_stopped_the_pages_still_open(client: Client, make_user, role, path) -> None:
    """No broker and no worker run in the tests."""
    client.force_login(make_user(role))
    assert client.get(path, follow=True).status_code == 200
