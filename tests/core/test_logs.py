"""What a log line holds: the request it belongs to, and never a variable's value."""

from __future__ import annotations

import logging
from collections.abc import Callable
from traceback import format_exception

import pytest
import structlog
from celery import shared_task
from django.test import Client

from apps.core import logging as our_logging
from apps.core.errors import LynceusError
from apps.core.logging import configure
from apps.fraud.decide.services import verdicts
from apps.fraud.models import Transaction
from tests.fraud.conftest import drain_all, event, post, source

__all__ = ["post", "source"]
CARD = "card-that-nobody-may-read"
PAN = "4111111111111111"


@pytest.fixture
def restored():
    root = logging.getLogger()
    kept, as_configured = (root.handlers, root.level), structlog.get_config()
    yield
    root.handlers, root.level = kept
    structlog.configure(**as_configured)


@pytest.mark.parametrize("as_json", [True, False])
def test_a_traceback_names_lines_and_no_values(capsys, restored, as_json: bool) -> None:
    configure({"level": "INFO", "json": as_json})
    PatientName = "Doe^Jane"  # noqa: N806
    try:
        raise RuntimeError(len(PatientName))
    except RuntimeError:
        logging.getLogger("django.request").exception("failed")
        structlog.get_logger("apps.x").exception("failed_too")
    said = capsys.readouterr().err
    assert said.count("RuntimeError") >= 2
    assert said.count("test_logs.py") >= 2
    assert "Doe^Jane" not in said.replace('PatientName = "Doe^Jane"', "")


@shared_task(name="tests.refused_by_the_database")
def refused_by_the_database() -> None:
    Transaction.objects.update(shard=32_000)


@pytest.fixture
def fails(db: None, post, monkeypatch) -> Callable[[str], None]:
    """Makes the database refuse a row with the card's token, in our own log line and in Celery's."""
    assert post(event(card_token=CARD)).status_code == 202

    def refused(*args: object, **kwargs: object) -> None:
        Transaction.objects.update(shard=32_000)

    def fail(where: str) -> None:
        if where == "engine":
            monkeypatch.setattr(verdicts, "record", refused)
            drain_all()
        else:
            refused_by_the_database.apply()

    return fail


WHERE = ["engine", "task"]


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("as_json", [True, False])
def test_what_the_database_refused_is_not_printed(capsys, restored, fails, where, as_json) -> None:
    configure({"level": "INFO", "json": as_json})
    fails(where)
    said = capsys.readouterr().err
    assert "django.db.utils.IntegrityError" in said
    assert "psycopg.errors.CheckViolation" in said
    assert ("apps/fraud/decide/services/drain.py" in said) is (where == "engine")
    assert CARD not in said


@pytest.mark.parametrize("where", WHERE)
def test_without_our_own_rendering_it_would_be(capsys, restored, fails, where, monkeypatch) -> None:
    monkeypatch.setattr(
        our_logging.render_exception, "format_exception", lambda given: "".join(format_exception(*given))
    )
    configure({"level": "INFO", "json": True})
    fails(where)
    assert CARD in capsys.readouterr().err


def test_our_own_words_and_the_systems_are_kept(capsys, restored) -> None:
    configure({"level": "INFO", "json": True})
    for error in (LynceusError("x", "Say which source."), OSError(28, PAN), ValueError(PAN)):
        try:
            raise error
        except Exception:
            structlog.get_logger("apps.x").exception("failed")
    said = capsys.readouterr().err
    assert "LynceusError: Say which source." in said
    assert "OSError: No space left on device" in said
    assert PAN not in said


KNOWN = f"/api/v1/decisions/{PAN}"
PATHS = [KNOWN, f"{KNOWN}/more", f"/{PAN}\u00fc", f"/fraud/decisions/{PAN}/"]


def said_of(path: str, capsys) -> str:
    configure({"level": "INFO", "json": True})
    assert Client().get(path).status_code in {401, 404}
    return capsys.readouterr().err


@pytest.mark.django_db
@pytest.mark.parametrize("path", PATHS)
def test_a_request_is_logged_by_its_route(capsys, restored, path: str) -> None:
    said = said_of(path, capsys)
    assert PAN not in said
    assert ("/api/v1/decisions/<event_id>" if path == KNOWN else "(no such page)") in said


@pytest.mark.django_db
@pytest.mark.parametrize("path", PATHS)
def test_without_the_filter_the_path_would_be(capsys, restored, monkeypatch, path: str) -> None:
    monkeypatch.setattr(our_logging, "name_only", lambda record: True)
    assert PAN in said_of(path, capsys)
