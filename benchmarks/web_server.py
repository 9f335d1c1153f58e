"""Which web server carries our own endpoints best: gunicorn's threads (the baseline) against granian's.

Servers take turns within each round, on the same database, under the same load from one process. Reported as
ratios to the baseline: this machine may be shared, its absolute numbers are not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from benchmarks.report import ROOT, report
from benchmarks.serving_place import cpu_s, free_port, memory_mb, wait_for

BIN = ROOT / ".venv" / "bin"
SERVERS = {
    f"{name} {workers}x{threads}": [*command, "--workers", str(workers), per_worker, str(threads)]
    for workers, threads in ((2, 8), (2, 4))
    for name, command, per_worker in (
        ("gunicorn gthread", ["gunicorn", "config.wsgi", "--worker-class", "gthread"], "--threads"),
        ("granian wsgi", ["granian", "--interface", "wsgi", "config.wsgi:application"], "--blocking-threads"),
    )
}
BASELINE = next(iter(SERVERS))
CONNECTIONS = 16


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=1500, help="per server, endpoint and round")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lyn-") as var:
        environment = prepared(Path(var))
        runs = [
            measured(name, environment, options.requests) for _ in range(options.rounds) for name in SERVERS
        ]
    table = [row for name in SERVERS for row in summary(name, [run for run in runs if run["server"] == name])]
    report("web_server", table, ratios(table), baseline=BASELINE, rounds=options.rounds)


def prepared(var: Path) -> dict[str, str]:
    """A migrated SQLite database with the demo's people and keys; no worker, no broker."""
    environment = {
        **os.environ, "LYNCEUS_VAR": str(var), "LYNCEUS_DEMO": "1", "DATABASE_URL": "",
        "DJANGO_SETTINGS_MODULE": "config.settings.dev", "LYNCEUS_LOG_LEVEL": "ERROR",
        "REDIS_URL": f"redis+socket://{var / 'none.sock'}", "PATH": f"{BIN}:{os.environ['PATH']}",
    }  # fmt: skip
    code = (
        "import django; django.setup()\n"
        "from django.core.management import call_command; call_command('migrate', verbosity=0)\n"
        "import json; from demo import seed; seed.seed(); print(json.dumps([seed.api_token(), seed.SOURCE]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, check=True, capture_output=True, text=True
    )
    token, source = json.loads(done.stdout.splitlines()[-1])
    return {**environment, "BENCHMARK_TOKEN": token, "BENCHMARK_SOURCE": source}


@contextmanager
def serving(name: str, environment: dict[str, str]) -> Iterator[tuple[int, psutil.Process]]:
    port = free_port()
    program, *options = SERVERS[name]
    where = {
        "gunicorn": ["--bind", f"127.0.0.1:{port}", "--keep-alive", "30", "--log-level", "warning"],
        "granian": ["--host", "127.0.0.1", "--port", str(port), "--no-ws", "--log-level", "error"],
    }
    server = subprocess.Popen([str(BIN / program), *options, *where[program]], cwd=ROOT, env=environment)
    try:
        wait_for(f"http://127.0.0.1:{port}/livez")
        yield port, psutil.Process(server.pid)
    finally:
        server.terminate()
        server.wait()


def measured(name: str, environment: dict[str, str], requests: int) -> dict[str, Any]:
    """One server through all endpoints: requests a second, latency in ms, CPU-ms a request, memory in MB."""
    found: dict[str, Any] = {"server": name}
    with serving(name, environment) as (port, process):
        for endpoint, request in endpoints(environment).items():
            asyncio.run(load(port, request, 200))
            before, start = cpu_s(process), time.perf_counter()
            latencies = asyncio.run(load(port, request, requests))
            elapsed = time.perf_counter() - start
            found[endpoint] = {
                "rps": requests / elapsed,
                "p50_ms": statistics.median(latencies) * 1e3,
                "p99_ms": sorted(latencies)[int(0.99 * len(latencies))] * 1e3,
                "cpu_ms": (cpu_s(process) - before) / requests * 1e3,
            }
        found["rss_mb"] = memory_mb(process)
    return found


def endpoints(environment: dict[str, str]) -> dict[str, bytes]:
    """A read with a bearer token and a database look-up, and a refused signature over a body of 1 KB."""
    body = json.dumps({"event_id": uuid.uuid4().hex, "padding": "x" * 1000}).encode()
    read = (
        f"GET /api/v1/decisions/unknown?source={environment['BENCHMARK_SOURCE']} HTTP/1.1\r\n"
        "Host: localhost\r\n"
        f"Authorization: Bearer {environment['BENCHMARK_TOKEN']}\r\n\r\n"
    )
    post = (
        "POST /api/v1/transactions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"lynceus-source: {environment['BENCHMARK_SOURCE']}\r\nwebhook-id: m\r\n"
        f"webhook-timestamp: {int(time.time())}\r\nwebhook-signature: v1,AAAA\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return {
        "read": read.encode(),
        "webhook": post.encode() + body,
        "alive": b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n",
    }


async def load(port: int, request: bytes, total: int) -> list[float]:
    """Latencies in seconds of `total` requests over kept-alive connections."""
    latencies: list[float] = []
    share = [total // CONNECTIONS + (n < total % CONNECTIONS) for n in range(CONNECTIONS)]
    await asyncio.gather(*(_connection(port, request, count, latencies) for count in share))
    return latencies


async def _connection(port: int, request: bytes, count: int, latencies: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(count):
        start = time.perf_counter()
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        latencies.append(time.perf_counter() - start)
    writer.close()


def summary(name: str, runs: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Median, least and most of each figure over the rounds."""
    for endpoint in ("read", "webhook", "alive"):
        row: dict[str, Any] = {"server": name, "endpoint": endpoint}
        for figure in ("rps", "p50_ms", "p99_ms", "cpu_ms"):
            values = [run[endpoint][figure] for run in runs]
            row[figure] = statistics.median(values)
            row[f"{figure}_low"], row[f"{figure}_high"] = min(values), max(values)
        yield row | {"rss_mb": statistics.median(run["rss_mb"] for run in runs)}


def ratios(table: list[dict[str, Any]]) -> dict[str, float]:
    base = {row["endpoint"]: row for row in table if row["server"] == BASELINE}
    return {
        f"{row['server'].replace(' ', '_')}_{row['endpoint']}_{figure}_ratio": row[figure]
        / base[row["endpoint"]][figure]
        for row in table
        for figure in ("rps", "p99_ms", "cpu_ms")
        if row["server"] != BASELINE
    }


if __name__ == "__main__":
    main()
