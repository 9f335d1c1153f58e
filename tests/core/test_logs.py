"""What a log line holds: the request it belongs to, and never a variable's value."""

from __future__ import annotations

import logging

import pytest
import structlog

from apps.core.logging import configure


@pytest.fixture
def restored():
    root = logging.getLogger()
    kept = root.handlers, root.level
    yield
    root.handlers, root.level = kept
    structlog.reset_defaults()


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
