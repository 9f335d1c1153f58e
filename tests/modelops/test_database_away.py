"""The database goes away while a job trains, as when it restarts: the job is taken up again and goes on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from django.db import connection
from psycopg import sql

from apps.modelops.common.selectors import artefact_dir
from apps.modelops.jobs.services.runner import run_next
from apps.modelops.models import TrainingJob
from ml.common.artefact import open_artefact
from tests.modelops.test_jobs import expire_lease
from tests.modelops.test_supervisor_death import is_held, job, lock, supervise, until

__all__ = ["job", "lock", "supervise"]
Status = TrainingJob.Status
pytestmark = pytest.mark.usefixtures("child_can_start")


@contextmanager
def database_away() -> Iterator[None]:
    """Whoever is connected is cut off, and nobody gets in."""
    name = str(connection.settings_dict["NAME"])
    connection.close()
    allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    with psycopg.connect(server_url(name), autocommit=True) as server:
        server.execute(allow.format(sql.Identifier(name), sql.SQL("false")))
        try:
            server.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
            )
            yield
        finally:
            server.execute(allow.format(sql.Identifier(name), sql.SQL("true")))


def server_url(name: str) -> str:
    """The same server's own database: whoever connects to it is not cut off."""
    return os.environ["DATABASE_URL"].replace(f"/{name}?", "/postgres?")


def test_it_works(job, lock, supervise) -> None:
    supervisor = supervise()
    with database_away():
        assert supervisor.wait(timeout=90) != 0
        until(lambda: not is_held(lock))  # nothing trains on unheard
    job.refresh_from_db()
    assert job.status == Status.RUNNING  # nobody could say otherwise
    # Sabotage: a holder without a lease would keep it for ever.
    TrainingJob.objects.update(lease_expires_at=None)
    assert run_next() is None
    expire_lease(job)
    version = run_next()
    assert open_artefact(artefact_dir(version)).meta == {"resumed": True}
    job.refresh_from_db()
    assert (job.status, job.fence) == (Status.SUCCEEDED, 2)
