"""The chain says so when a row is edited, deleted, added in secret, left unsealed, or the tail is cut off."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction

from apps.audit.models import AuditEvent, AuditSeal, UnsealedEvent
from apps.audit.services import record
from apps.audit.services.chain import problems, seal_pending
from apps.core.clock import now


@pytest.fixture
def chain(site, settings, tmp_path) -> None:
    settings.AUDIT_HEAD_PATH = tmp_path / "head.json"
    for i in range(5):
        record("study.viewed", site=site, actor=None, subject=f"study:{i}", detail={"version": i})
    assert seal_pending() == 5


@pytest.fixture
def by_force(transactional_db: None) -> Callable[[str], None]:
    """Runs SQL as someone who owns the tables would, with the triggers out of the way."""

    def run(sql: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET session_replication_role = replica")
            cursor.execute(sql)
            cursor.execute("SET session_replication_role = DEFAULT")

    return run


def test_a_whole_chain_verifies(chain, capsys) -> None:
    call_command("verify_audit")
    assert "whole: 5 events" in capsys.readouterr().out
    assert not UnsealedEvent.objects.exists()


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("UPDATE audit_auditevent SET actor = 'user:9' WHERE subject = 'study:2'", "edited"),
        ("UPDATE audit_auditevent SET detail = '{}' WHERE subject = 'study:2'", "edited"),
        ("UPDATE audit_auditseal SET sha256 = repeat('0', 64) WHERE number = 3", "edited"),
        ("DELETE FROM audit_auditevent WHERE subject = 'study:2'", "was deleted"),
        ("DELETE FROM audit_auditseal WHERE number = 3", "link 3 is missing"),
        ("DELETE FROM audit_auditseal WHERE number > 3", "cut off: 3 links, but the head remembers 5"),
        ("DELETE FROM audit_auditseal", "cut off: 0 links"),
    ],
)
def test_tampering_is_found(by_force, chain, sql: str, says: str) -> None:
    by_force(sql)
    assert says in " ".join(problems())
    with pytest.raises(CommandError, match="broken"):
        call_command("verify_audit")


def test_a_tail_cut_off_with_its_events_is_found(by_force, chain) -> None:
    by_force("DELETE FROM audit_auditseal WHERE number > 3")
    by_force("DELETE FROM audit_auditevent WHERE subject IN ('study:3', 'study:4')")
    by_force("UPDATE audit_chainhead SET count = 3")
    assert list(problems()) == ["the chain was cut off: 3 links, but the head remembers 5"]


def test_a_chain_rewritten_from_the_start_is_found(by_force, chain, settings) -> None:
    """Someone with the database alone can make every hash fit again; the head outside disagrees."""
    by_force("UPDATE audit_auditevent SET actor = 'user:9' WHERE subject = 'study:2'")
    by_force("INSERT INTO audit_unsealedevent SELECT id FROM audit_auditevent")
    by_force("DELETE FROM audit_auditseal")
    by_force("UPDATE audit_chainhead SET count = 0, sha256 = ''")
    seal_pending()
    assert list(problems()) == ["link 5 is not the one the head outside the database remembers"]


def test_the_head_is_authenticated(chain, settings) -> None:
    body = json.loads(settings.AUDIT_HEAD_PATH.read_text())
    settings.AUDIT_HEAD_PATH.write_text(json.dumps(body | {"count": 3}))
    assert "was not written by this installation" in " ".join(problems())
    settings.AUDIT_HEAD_PATH.write_text("{")
    assert "damaged" in " ".join(problems())
    settings.AUDIT_HEAD_PATH.unlink()
    assert "is missing" in " ".join(problems())


def test_a_row_that_escaped_its_seal_is_found(chain, site) -> None:
    AuditEvent.objects.create(at=now() - timedelta(minutes=2), site=site, actor="system", action="x")
    assert "is not sealed" in " ".join(problems())


def test_a_fresh_row_is_no_problem_yet(chain, site) -> None:
    record("x", site=site, actor=None)
    assert list(problems()) == []
    seal_pending()
    assert AuditSeal.objects.count() == 6
    assert list(problems()) == []


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM audit_auditevent",
        "DELETE FROM audit_auditseal",
        "UPDATE audit_auditevent SET actor = 'system'",
        "UPDATE audit_auditseal SET sha256 = ''",
    ],
)
def test_the_database_refuses_to_change_rows(chain, sql: str) -> None:
    with (
        pytest.raises(DatabaseError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(sql)


def test_an_event_commits_with_its_action_or_not_at_all(site) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        record("study.viewed", site=site, actor=None)
        raise ZeroDivisionError
    assert not AuditEvent.objects.exists()
