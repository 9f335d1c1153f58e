"""The second demo: a copy of the first whose database and broker a test may take away."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.apart import Apart
from tests.integration.running import Running, eventually, running
from tests.integration.services import Broker, Postgres

NOT_COPIED = shutil.ignore_patterns("*.sock", "demo.*", "said.txt", "celerybeat-*", "datasets", "jobs")


@pytest.fixture(scope="package")
def apart(demo: Running) -> Iterator[Apart]:
    """One for all that is taken away from it: each test gives back what it took."""
    with tempfile.TemporaryDirectory(prefix="lyn-") as folder:
        var, postgres, broker = Path(folder) / "var", Postgres(Path(folder) / "pg"), Broker(Path(folder))
        broker.start()
        try:
            eventually(lambda: _copied(demo, var, postgres), of="a moment in which nothing is written")
            changes = {"REDIS_URL": broker.url, "LYNCEUS_MODEL_RETRY_S": "1"}
            with running(var, postgres.url, **changes) as started:
                yield Apart(started, postgres, broker)
        finally:
            broker.kill()
            postgres.stop()


def _copied(demo: Running, var: Path, postgres: Postgres) -> bool:
    """Files and rows of one moment: the audit's head is a file, and speaks of the rows."""
    head = demo.var / "audit" / "head.json"
    before = head.read_bytes()
    shutil.rmtree(var, ignore_errors=True)
    shutil.copytree(demo.var, var, ignore=NOT_COPIED)
    postgres.rows("DROP SCHEMA public CASCADE")
    postgres.rows("CREATE SCHEMA public")
    postgres.fill_from(demo.environment["DATABASE_URL"])
    return head.read_bytes() == before
