"""structlog for everything: one line an event, with the request id carried from web to task.

No line holds what a row, a path or a variable held: an exception is its type and the lines it came by, a
request its route. Only our own exceptions keep their words, which name no patient and no card.
"""

from __future__ import annotations

import logging
import logging.config
import os
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import structlog

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]
ROOT = Path(__file__).resolve().parents[2]
OURS = ("apps", "config", "demo", "ml")
FOLDERS = tuple(f"{ROOT / name}{os.sep}" for name in OURS)


def without_values(exc_info: ExcInfo) -> str:
    """Each exception of the chain, the first cause first: our own lines and the last one, then its type.

    A driver's message quotes the row it refused, and with it a card token or a patient's name.
    """
    return "\nwhich led to:\n".join(reversed([_told(error) for error in _chain(exc_info[1])]))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _told(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    kept = [frame for frame in frames[:-1] if frame.filename.startswith(FOLDERS)] + frames[-1:]
    return "".join(traceback.format_list(kept)) + _name(error)


def _name(error: BaseException) -> str:
    kind = type(error)
    name = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
    if kind.__module__.partition(".")[0] in OURS:
        return f"{name}: {error}"
    if isinstance(error, OSError) and error.errno:
        return f"{name}: {os.strerror(error.errno)}"
    return name


def name_only(record: logging.LogRecord) -> bool:
    """A logging filter: exceptions among a line's own values become their names, a path its route."""
    if isinstance(record.args, Mapping):
        # Celery's "Task ... raised unexpected: ..." and what else it may print of a failure.
        if record.exc_info and record.exc_info[1] and "exc" in record.args:
            record.args = {**record.args, "exc": _name(record.exc_info[1]), "traceback": ""}
    elif record.args:
        record.args = tuple(_name(a) if isinstance(a, BaseException) else a for a in record.args)
        if request := getattr(record, "request", None):
            record.args = _with_route(request, record.args)
    return True


def _with_route(request: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
    path = getattr(request, "path", "")
    match = getattr(request, "resolver_match", None)
    route = f"/{match.route}" if match else "(no such page)"
    return tuple(route if a in (path, path.encode("unicode_escape").decode()) else a for a in args)


render_exception = structlog.processors.ExceptionRenderer(without_values)
SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def configure(config: dict[str, Any]) -> None:
    """Django calls this with settings.LOGGING = {"level": ..., "json": ...}."""
    # Plain: the console's own pretty tracebacks print local variables.
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if config["json"]
        else structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    )
    structlog.configure(
        processors=[
            *SHARED,
            render_exception,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*SHARED, render_exception], processor=renderer
    )
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    handler.addFilter(name_only)
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
