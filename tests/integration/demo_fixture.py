"""The running product as a fixture; tests/conftest.py offers it to every folder."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tests.integration.running import Running, running


@pytest.fixture(scope="session")
def demo() -> Iterator[Running]:
    """The whole product, started once for this run over an empty PostgreSQL database."""
    server, name = os.environ["DATABASE_URL"], f"demo_{os.getpid()}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        url = server.replace("/postgres?", f"/{name}?")
        with tempfile.TemporaryDirectory(prefix="lyn-") as var, running(Path(var), url) as started:
            yield started
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
