"""Work that must not hold up the event loop: in threads beside it, each with a database connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from typing import ParamSpec, TypeVar

from django.core.exceptions import SynchronousOnlyOperation
from django.db import close_old_connections

P = ParamSpec("P")
T = TypeVar("T")
THREADS = 8
_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="aside")


async def aside(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `work` returns, from a thread that has this task's context."""
    tidy = partial(copy_context().run, _tidily, partial(work, *args, **kwargs))
    return await asyncio.get_running_loop().run_in_executor(_threads, tidy)


async def on_loop_if_at_hand(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """`work`, which only reads, here and now; where it comes to ask the database, once more in a thread.

    Django refuses a question to the database on the event loop. What is remembered needs none, and is then
    cheaper than a thread.
    """
    try:
        return work(*args, **kwargs)
    except SynchronousOnlyOperation:
        return await aside(work, *args, **kwargs)


@contextmanager
def own_connection() -> Iterator[None]:
    """For a thread that lasts: one that broke or rested too long is looked at before it is used, as Django
    does round a request."""
    close_old_connections()
    try:
        yield
    finally:
        close_old_connections()


def _tidily(work: Callable[[], T]) -> T:
    with own_connection():
        return work()
