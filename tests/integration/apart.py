"""A running product whose parts may be taken away, and processes of it with one guard taken out."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import httpx
import psutil
from celery import Celery

from ml.fraud.state import CardState
from tests.integration.running import ROOT, Running, eventually, free_port
from tests.integration.services import Broker, Postgres

WEB = 2  # processes, as LYNCEUS_WEB_WORKERS has it
SETTLED_S = 7.0  # granian gives up where one dies again within 5.5 s; an age read here may be a second off
ONCE = """
SELECT k.id, count(DISTINCT t.id), count(d.id), coalesce(max(d.decided_at - t.received_at), interval '0')
FROM unnest(%s::text[]) AS k(id)
LEFT JOIN fraud_transaction t ON t.event_id = k.id LEFT JOIN fraud_decision d ON d.transaction_id = t.id
GROUP BY k.id
"""


@dataclass(frozen=True, slots=True)
class Apart:
    demo: Running
    postgres: Postgres
    broker: Broker

    def pending(self) -> int:
        return int(
            self.postgres.rows("SELECT count(*) FROM fraud_transaction WHERE status = 'pending'")[0][0]
        )

    def not_decided_once(self, ids: Sequence[str], within_s: float = 60.0) -> dict[str, str]:
        """Of these events, once nothing waits any more, what was not decided exactly once and in time."""
        eventually(lambda: self.pending() == 0, within_s=within_s, of="the last decision")
        wrong = {}
        for event_id, stored, decided, took in self.postgres.rows(ONCE, list(ids)):
            if (stored, decided) != (1, 1) or took.total_seconds() > within_s:
                wrong[event_id] = f"stored {stored} times, decided {decided} times, {took}"
        return wrong

    def heard_of(self, cards: Sequence[str]) -> dict[str, int]:
        """How many events each card's state knows of, once it has heard of all that was decided in haste."""
        eventually(lambda: not self.postgres.rows("SELECT 1 FROM fraud_latestate"), of="the states' hearing")
        found = self.postgres.rows(
            "SELECT substr(key, 6), state FROM fraud_keystate WHERE key = ANY(%s)",
            [f"card:{card}" for card in cards],
        )
        return {key: CardState.from_bytes(bytes(state)).n for key, state in found}

    def processes(self, *words: str) -> list[psutil.Process]:
        """Those of the demo whose command line has all the words."""
        found = []
        for process in self.demo.processes():
            with suppress(psutil.Error):
                line = " ".join(process.cmdline())
                if process.status() != psutil.STATUS_ZOMBIE and all(word in line for word in words):
                    found.append(process)
        return found

    def children(self, *words: str) -> list[psutil.Process]:
        """Of such processes those that work for another one: a parent gives each a successor."""
        found = self.processes(*words)
        parents = {process.pid for process in found}
        children = []
        for process in found:
            with suppress(psutil.Error):
                if process.ppid() in parents:
                    children.append(process)
        return children

    @contextmanager
    def without_worker(self, queue: str = "realtime") -> Iterator[None]:
        """Its own worker for this queue hears no bell; messages are kept for whoever listens."""
        eventually(lambda: self._no_message_is_held(queue), of="a moment without messages")
        with self.suspended(f"{queue}@"):
            # Or the broker would still hand it one, for the time when it goes on.
            for client in self.broker.client.client_list():
                if client["cmd"] == "brpop":
                    self.broker.client.client_kill_filter(_id=client["id"])
            yield

    def _no_message_is_held(self, queue: str) -> bool:
        node, app = f"{queue}@{socket.gethostname()}", Celery(broker=self.broker.url)
        with app.connection_for_write() as connection:
            asked = app.control.inspect([node], timeout=5, limit=1, connection=connection)
            held = (asked.reserved(), asked.active())
        return held == ({node: []}, {node: []}) and not self.broker.client.llen(queue)

    @contextmanager
    def suspended(self, *words: str) -> Iterator[None]:
        stopped = self.processes(*words)
        assert stopped
        for process in stopped:
            process.suspend()
        try:
            yield
        finally:
            for process in stopped:
                process.resume()

    def settled_web(self) -> list[psutil.Process]:
        """Its web processes, once none of them is so young that its death would end the server."""
        return eventually(self._settled_web, of="the web processes")

    def _settled_web(self) -> list[psutil.Process]:
        with suppress(psutil.Error):
            children = self.children("config.web")
            if len(children) == WEB and all(time.time() - one.create_time() > SETTLED_S for one in children):
                return children
        return []

    @contextmanager
    def worker(self, guard: str = "") -> Iterator[subprocess.Popen[bytes]]:
        """One more for transactions, ready, whose death ends nothing."""
        words = ["worker", "-Q", "realtime", "-n", "extra@%h", "-P", "solo", "--without-mingle"]
        log = self.demo.var / "extra.log"
        before = log.stat().st_size if log.exists() else 0
        with self._started(guard, "celery", *words) as process:
            # The sabotaged may have died of its first work already.
            eventually(
                lambda: b"ready." in log.read_bytes()[before:] or process.poll() is not None,
                of="the extra worker",
            )
            yield process

    @contextmanager
    def imaging(self, guard: str = "") -> Iterator[subprocess.Popen[bytes]]:
        """One more for films, whose death ends nothing. Each has the same name, as one that is restarted."""
        words = ["worker", "-Q", "imaging", "-n", "extra-imaging@%h", "-P", "solo", "--without-mingle"]
        with self._started(guard, "celery", *words) as process:
            yield process

    @contextmanager
    def web(self, guard: str = "", **changes: str) -> Iterator[str]:
        """One more web server, of one process; its address."""
        port = str(free_port())
        changes = {"LYNCEUS_PORT": port, "LYNCEUS_WEB_WORKERS": "1", **changes}
        with self._started(guard, "web", **changes) as process:
            url = f"http://127.0.0.1:{port}"
            eventually(lambda: _alive(url, process), of="the web server")
            yield url

    @contextmanager
    def _started(self, guard: str, *words: str, **changes: str) -> Iterator[subprocess.Popen[bytes]]:
        command = [sys.executable, "-m", "tests.integration.sabotage", guard or "none", *words]
        environment = {**self.demo.environment, "LYNCEUS_DEMO": "1", "TMPDIR": str(self.demo.var), **changes}
        with (self.demo.var / "extra.log").open("ab") as log:
            process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env=environment)
        try:
            yield process
        finally:
            with suppress(psutil.NoSuchProcess):
                for child in psutil.Process(process.pid).children(recursive=True):
                    child.kill()
            process.kill()
            process.wait()


def _alive(url: str, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "the extra web server ended"
    with suppress(httpx.HTTPError):
        return httpx.get(f"{url}/livez").status_code == 200
    return False
