"""A PostgreSQL and a Redis of a test's own, to be taken away from the product and given back."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import psycopg
import redis

from demo.redis import command, prepare_folder
from tests.integration.running import eventually
from tests.pgserver import ctl, restart, started


class Postgres:
    """Acknowledges a commit once it is on disk; one that did not ask for that may wait long for it."""

    def __init__(self, folder: Path) -> None:
        self.server = started(folder)
        self.url = self.server.get_uri()
        self.rows("ALTER SYSTEM SET wal_writer_delay = '10s'")
        self.rows("SELECT pg_reload_conf()")

    def crash(self) -> None:
        """No checkpoint, no farewell to anybody."""
        ctl(self.server, "-m", "immediate", "stop")

    def start(self) -> None:
        restart(self.server)

    def stop(self) -> None:
        self.server.cleanup()

    def fill_from(self, url: str) -> None:
        """A copy of another database."""
        programs = self.server.bin_path
        dump = subprocess.run([programs / "pg_dump", url], check=True, capture_output=True)
        fill = [programs / "psql", "-q", "-v", "ON_ERROR_STOP=1", self.url]
        subprocess.run(fill, input=dump.stdout, check=True, capture_output=True)

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(query, values)
            return cursor.fetchall() if cursor.description else []


class Broker:
    """Outside of the demo's own processes, of which none may die."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "redis.sock"
        self.url = f"redis+socket://{self.socket}"
        self.client = redis.Redis(unix_socket_path=str(self.socket))

    def start(self) -> None:
        prepare_folder(self.socket)
        self.process = subprocess.Popen(command(self.socket))
        eventually(self._answers, of="the broker")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.ConnectionError:
            return False
