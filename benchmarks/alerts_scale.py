"""How long the analyst's queue takes with 100,000 and with 10,000,000 decisions on PostgreSQL, door by door.

    python -m benchmarks.alerts_scale [--repeats 40] [--small 100000 --large 10000000]

A PostgreSQL of its own is filled with decisions, one in fifty an open alert: 2,000 and 200,000 of them. Each
door is asked `repeats` times through Django, middleware, session, audit row and template included, without a
network; `cpu` is this process's own, which other work on the machine lengthens less. `p95_ms_100k` and
`p95_ms_10m` are those of the slowest door. Takes about 9 GB of disk while it runs.
"""

from __future__ import annotations

import argparse
import html
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.report import RESULTS, report
from benchmarks.serving_place import Place, installed

WARM = 3
POSTED = {"next": {"desk": "loss"}, "next, declined": {"desk": "friction"}}


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--repeats", type=int, default=40)
    asked.add_argument("--small", type=int, default=100_000)
    asked.add_argument("--large", type=int, default=10_000_000)
    asked.add_argument("--note", default="", help="What else a reader must know, such as a busy machine.")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="lyn-") as folder:
        place = installed(Path(folder))
        table, measures = [], {}
        desk = _desk(place)
        for name, decisions in (("100k", given.small), ("10m", given.large)):
            rows = list(_measured(desk, decisions, given.repeats))
            table += [{"decisions": decisions, **row} for row in rows]
            measures[f"p95_ms_{name}"] = max(row["p95_ms"] for row in rows)
    more = {"note": given.note} if given.note else {}
    report("alerts_scale", table, measures | _backtest(), **more)


def _backtest() -> dict[str, float]:
    """The rule backtest's part of the same promise, from its own benchmark in a process of its own."""
    subprocess.run([sys.executable, "-m", "benchmarks.rule_backtest"], check=True)
    found = json.loads((RESULTS / "rule_backtest.json").read_text())
    return {"rule_backtest_s_per_million": found["measures"]["rule_backtest_s_per_million"]}


def _desk(place: Place) -> Callable[[int], Any]:
    """Django over this installation: a signed-in client, and how to fill it."""
    os.environ.update(place.environment)
    import django

    django.setup()
    from django.test import Client

    from apps.accounts.models import Role, Site, User
    from apps.fraud.models import DeskBudget, Source
    from apps.fraud.work.services.budget import work_out_budgets
    from benchmarks.alerts_rows import fill

    site = Site.objects.get(slug="demo")
    source = Source.objects.get(slug=place.source)
    me, other = (
        User.objects.create_user(f"{name}@demo.example", site=site, role=Role.FRAUD_ANALYST)
        for name in ("me", "other")
    )
    client = Client(SERVER_NAME="localhost")
    client.force_login(me)

    def prepare(decisions: int) -> Any:
        fill(site.pk, source.pk, me.pk, other.pk, decisions=decisions)
        DeskBudget.objects.all().delete()
        work_out_budgets()
        return client

    return prepare


def _measured(desk: Callable[[int], Any], decisions: int, repeats: int) -> Iterator[dict[str, Any]]:
    client = desk(decisions)
    for name, address in _doors(client):
        taken, worked = [], []
        for turn in range(WARM + repeats):
            start, begun = time.perf_counter(), time.process_time()
            answer = client.post(address, POSTED[name]) if name in POSTED else client.get(address)
            if turn >= WARM:
                taken.append((time.perf_counter() - start) * 1000)
                worked.append((time.process_time() - begun) * 1000)
            if answer.status_code >= 400:
                raise SystemExit(f"{address} answered {answer.status_code}.")
        cuts = statistics.quantiles(taken, n=20)
        cpu = statistics.median(worked)
        yield {"door": name, "p50_ms": statistics.median(taken), "p95_ms": cuts[18], "cpu_p50_ms": cpu}


def _doors(client: Any) -> list[tuple[str, str]]:
    """What is asked; each page's own live address and the key of a page deep down are taken from pages."""
    deep, pages = "/fraud/", 0
    while pages < 20 and (further := _found(client.get(deep), r'rel="next"[^>]*?href="([^"]+)"')):
        deep, pages = further, pages + 1
    live = _found(client.get("/fraud/"), r'hx-get="([^"]*rows/[^"]*)"')
    recent = _found(client.get("/fraud/?show=recent"), r'hx-get="([^"]*rows/[^"]*)"')
    states = ("free", "mine", "overdue", "escalated", "snoozed")
    return [
        ("first page", "/fraud/"),
        ("page 21", deep),
        ("rows, nothing new", live),
        ("rows, something new", re.sub("seen=.", "seen=x", live)),
        ("standing", "/fraud/standing/"),
        ("declined customers", "/fraud/?show=friction"),
        *((state, f"/fraud/?state={state}") for state in states),
        ("at stake, at least", "/fraud/?at_least=1000"),
        ("at stake, at least, none", "/fraud/?at_least=99999999"),
        ("recent", "/fraud/?show=recent"),
        ("recent rows, nothing new", recent),
        ("recent, declined", "/fraud/?show=recent&outcome=decline"),
        ("recent, rare", "/fraud/?show=recent&mode=rules_only"),
        ("recent, of a source", "/fraud/?show=recent&source=demo-acquirer"),
        ("capacity", "/fraud/capacity/"),
        ("api", "/api/v1/work?limit=100"),
        ("next", "/fraud/next/"),
        ("next, declined", "/fraud/next/"),
    ]


def _found(page: Any, pattern: str) -> str:
    found = re.search(pattern, page.content.decode(), re.S)
    address = html.unescape(found[1]) if found else ""
    return f"/fraud/{address}" if address.startswith("?") else address


if __name__ == "__main__":
    main()
