from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tests.integration.running import Running, running


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One demo for all of these: they run in one worker."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("demo"))


@pytest.fixture(scope="session")
def demo() -> Iterator[Running]:
    """The whole product, started once for this run over an empty PostgreSQL database."""
    server, name = os.environ["DATABASE_URL"], f"demo_{os.getpid()}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        with tempfile.TemporaryDirectory(prefix="lyn-") as var:
            with running(Path(var), server.replace("/postgres?", f"/{name}?")) as started:
                yield started
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
