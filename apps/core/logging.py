"""structlog for everything: one line an event, with the request id carried from web to task."""

from __future__ import annotations

import logging
import logging.config
from typing import Any

import structlog

SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def configure(config: dict[str, Any]) -> None:
    """Django calls this with settings.LOGGING = {"level": ..., "json": ...}."""
    # Plain tracebacks: the console's pretty ones print local variables, and a patient's name with them.
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if config["json"]
        else structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    )
    structlog.configure(
        processors=[
            *SHARED,
            structlog.processors.format_exc_info,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*SHARED, structlog.processors.format_exc_info], processor=renderer
    )
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(config["level"])
    for noisy in ("httpx", "pydicom", "axes"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # It logs what peers send; what matters of that the listener logs itself.
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)


def bind_task(task: Any, task_id: str) -> None:
    """Give a task's log lines the id of the request that rang its bell."""
    structlog.contextvars.clear_contextvars()
    request_id = (getattr(task.request, "headers", None) or {}).get("request_id") or task_id
    structlog.contextvars.bind_contextvars(request_id=request_id, task=task.name)
