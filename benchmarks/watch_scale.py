"""How long the overview takes with 100,000 and with 10,000,000 decisions on PostgreSQL, door by door.

    python -m benchmarks.watch_scale [--repeats 30] [--small 100000 --large 10000000]

A PostgreSQL of its own is filled with decisions spread over 90 days, one in a hundred reviewed, one in 250
declined, one in 2,000 by rules alone, labels on one in a hundred; no model is in service, so that there is
no drift to draw. First the hours are counted, as the task does: `count_s` for all of them, `count_hour_ms`
for one. Then each door is asked `repeats` times through Django,
middleware, session, audit row and template included, without a network. `p95_ms_100k` and `p95_ms_10m` are
those of the slowest door but the exports.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Any

from benchmarks.report import report
from benchmarks.serving_place import installed

WARM = 3
AT_ONCE = 500_000
# A payment and its decision, the oldest first: keys, times and amounts as service would have made them.
PAYMENTS = """
INSERT INTO fraud_transaction (id, source_id, event_id, type, occurred_at, card_token, amount_minor,
  amount_reporting_minor, currency, fx_rate, merchant_id, terminal_id, mcc, country, entry_mode, channel,
  device_id, network_reference, original_event_id, scheme, bin, issuer_country, funding, auth_response,
  avs_result, cvv_result, sca_exemption, initiator, received_at, shard, status, attempts)
SELECT i, %(source)s, 'e' || i, 'authorization', at, 'card-' || i %% 400000, 100 + i %% 9000, 100 + i %% 9000,
  'EUR', 1, 'm-' || i %% 3000, 't-' || i %% 9000, '5411', 'BE', 'chip', 'pos', '', '', '', '', '', '', '', '',
  '', '', '', '', at, i %% 16, 'decided', 0
FROM (SELECT i, %(start)s::timestamptz + i * %(step)s::interval AS at
  FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS i) AS drawn
"""
DECISIONS = """
INSERT INTO fraud_decision (id, public_id, transaction_id, outcome, score, mode, mode_reason, main_reason,
  model_version, artefact_hash, review_threshold, decline_threshold, ruleset_version, deadline_hit,
  decided_at, latency_ms)
SELECT i, gen_random_uuid(), i,
  CASE WHEN i %% 250 = 0 THEN 'decline' WHEN i %% 100 = 1 THEN 'review' ELSE 'approve' END,
  CASE WHEN i %% 2000 <> 7 THEN (i %% 1000) / 1000.0 END,
  CASE WHEN i %% 2000 = 7 THEN 'rules_only' ELSE 'full' END,
  CASE WHEN i %% 2000 = 7 THEN 'deadline' ELSE '' END, '',
  CASE WHEN i %% 2000 <> 7 THEN 1 END, '', 0.7, 0.9, 1,
  i %% 2000 = 7, at, 5 + i %% 90
FROM (SELECT i, %(start)s::timestamptz + i * %(step)s::interval AS at
  FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS i) AS drawn
"""
ALERTS = """
INSERT INTO fraud_alert (site_id, decision_id, status, amount_reporting_minor, risk_minor, created_at)
SELECT %(site)s, id, CASE WHEN id %% 5 = 0 THEN 'open' ELSE 'closed' END, 5000, 2500, decided_at
FROM fraud_decision WHERE outcome <> 'approve'
"""
LABELS = """
INSERT INTO fraud_fraudlabel (transaction_id, fraud, source, type, scheme, raw_code, known_at, received_at)
SELECT transaction_id, id %% 3 = 0, CASE WHEN id %% 4 = 0 THEN 'analyst' ELSE 'issuer' END, '', '', '',
  decided_at, decided_at FROM fraud_decision WHERE id %% 100 = 1 OR (outcome = 'decline' AND id %% 4 = 0)
"""
TABLES = ("fraud_fraudlabel", "fraud_alert", "fraud_decision", "fraud_transaction", "fraud_hourlycount",
          "fraud_hourlylatency", "fraud_hourlydrift", "fraud_countedhour", "fraud_countmark")  # fmt: skip


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--repeats", type=int, default=30)
    asked.add_argument("--small", type=int, default=100_000)
    asked.add_argument("--large", type=int, default=10_000_000)
    asked.add_argument("--note", default="", help="What else a reader must know, such as a busy machine.")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="lyn-") as folder:
        place = installed(Path(folder))
        os.environ.update(place.environment)
        client, fill = _desk()
        table: list[dict[str, Any]] = []
        measures: dict[str, float] = {}
        for name, decisions in (("100k", given.small), ("10m", given.large)):
            fill(decisions)
            measures |= {f"{key}_{name}": value for key, value in _counted().items()}
            rows = list(_measured(client, given.repeats))
            table += [{"decisions": decisions, **row} for row in rows]
            slow = [row["p95_ms"] for row in rows if not row["door"].startswith("export")]
            measures[f"p95_ms_{name}"] = max(slow)
    report("watch_scale", table, measures, **({"note": given.note} if given.note else {}))


def _desk() -> tuple[Any, Callable[[int], None]]:
    """Django over this installation: a signed-in analyst, and how to fill it."""
    import django

    django.setup()
    from django.db import connection
    from django.test import Client

    from apps.accounts.models import User
    from apps.fraud.models import Source

    source = Source.objects.select_related("site").get()
    client = Client(SERVER_NAME="localhost")
    client.force_login(User.objects.get(email="analyst@demo.example"))

    def fill(decisions: int) -> None:
        """In place of what was there."""
        step = 90 * 86_400 / decisions
        given = {"source": source.pk, "site": source.site_id, "step": f"{step} seconds"}
        with connection.cursor() as cursor:
            cursor.execute(f"TRUNCATE {', '.join(TABLES)} CASCADE")
            cursor.execute("SELECT now() - interval '90 days'")
            [given["start"]] = cursor.fetchone()
            for first in range(1, decisions + 1, AT_ONCE):
                part = {**given, "first": first, "last": min(decisions, first + AT_ONCE - 1)}
                for statement in (PAYMENTS, DECISIONS):
                    cursor.execute(statement, part)
            for statement in (ALERTS, LABELS):
                cursor.execute(statement, given)
            cursor.execute(f"VACUUM ANALYZE {', '.join(TABLES)}")

    return client, fill


def _counted() -> dict[str, float]:
    from apps.fraud.models import CountedHour
    from apps.fraud.watch.services.counts import count_due

    start = time.perf_counter()
    while count_due(budget_s=60):
        pass
    taken = time.perf_counter() - start
    return {"count_s": taken, "count_hour_ms": 1000 * taken / CountedHour.objects.count()}


def _measured(client: Any, repeats: int) -> Iterator[dict[str, Any]]:
    for name, address in _doors(client):
        taken, worked = [], []
        for turn in range(WARM + repeats):
            start, begun = time.perf_counter(), time.process_time()
            answer = client.get(address)
            if answer.streaming:
                list(answer.streaming_content)
            if turn >= WARM:
                taken.append((time.perf_counter() - start) * 1000)
                worked.append((time.process_time() - begun) * 1000)
            if answer.status_code >= 400:
                raise SystemExit(f"{address} answered {answer.status_code}.")
        cuts = statistics.quantiles(taken, n=20)
        cpu = statistics.median(worked)
        yield {"door": name, "p50_ms": statistics.median(taken), "p95_ms": cuts[18], "cpu_p50_ms": cpu}


def _doors(client: Any) -> list[tuple[str, str]]:
    from datetime import timedelta

    from apps.core.clock import now

    old = (now() - timedelta(days=60)).strftime("since=%Y-%m-%dT00:00Z&until=%Y-%m-%dT23:59Z")
    quarter = (now() - timedelta(days=90)).strftime("since=%Y-%m-%dT00:00Z")
    deep = f"/fraud/watch/events/?{quarter}"
    for _ in range(10):
        found = re.search(r'rel="next"\s+href="([^"]+)"', client.get(deep).content.decode())
        deep = "/fraud/watch/events/" + unescape(found[1]) if found else deep
    charts = ("volume", "kinds", "latency", "saved", "found", "drift")
    events = {
        "events, last day": "", "events, an old day": old, "events, a quarter": quarter,
        "events, declined": f"{quarter}&outcome=decline", "events, rules alone": f"{quarter}&mode=rules_only",
        "events, an old day's frauds": f"{old}&known=fraud",
        "events, an old day's unknown declines": f"{old}&known=unknown&outcome=decline",
    }  # fmt: skip
    return [
        *((f"overview, {days} days", f"/fraud/watch/?days={days}") for days in (1, 7, 30, 90)),
        ("strip", "/fraud/watch/now/"),
        *((f"chart {name}, 90 days", f"/fraud/watch/charts/{name}.json?days=90") for name in charts),
        *((name, f"/fraud/watch/events/?{query}") for name, query in events.items()),
        ("events, page 11 of a quarter", deep),
        ("export of periods", "/fraud/watch/periods.csv?days=90"),
    ]


if __name__ == "__main__":
    main()
