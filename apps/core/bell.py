"""Ring a worker's bell by task name. The database holds the work; the sweeper re-rings a lost bell."""

from __future__ import annotations

import structlog
from celery import current_app
from django.db import transaction

log = structlog.get_logger(__name__)


def ring(task_name: str, *ids: int | str) -> None:
    """Send the task once the surrounding transaction has committed. Never fails the caller."""
    request_id = structlog.contextvars.get_contextvars().get("request_id", "")
    transaction.on_commit(lambda: _send(task_name, ids, str(request_id)))


def _send(task_name: str, ids: tuple[int | str, ...], request_id: str) -> None:
    try:
        current_app.send_task(task_name, args=list(ids), headers={"request_id": request_id}, retry=False)
    except Exception as error:  # kombu raises its transport's own errors, of no common type
        log.warning("bell_not_heard", task=task_name, error=type(error).__name__)
