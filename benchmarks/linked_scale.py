"""What it costs to know a payment's linked ones: asking, at 110,000 and at 10,000,000 payments, and storing.

    python -m benchmarks.linked_scale [--small 110000 --large 10000000 --repeats 40]

A PostgreSQL of its own is filled with payments of sixty days; one in a hundred is at one large shop, whose
fraud, device and address are everywhere. `linked_to` is asked of a payment at that shop and of another;
`p95_ms_*` is the slower one's. Then batches of 128 are stored as the webhook's door and the worker store them
(pending, then decided), with the four indexes and without: `index_us_per_event` is what they cost an event.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.report import report
from benchmarks.serving_place import installed

BATCH, WARM = 128, 3
INDEXES = ("merchant_events", "terminal_events", "device_events", "ip_events")
PAYMENTS = """
INSERT INTO fraud_transaction (source_id, event_id, type, occurred_at, card_token, amount_minor,
  amount_reporting_minor, currency, fx_rate, merchant_id, terminal_id, mcc, country, entry_mode, channel,
  device_id, ip, network_reference, original_event_id, scheme, bin, issuer_country, funding, auth_response,
  avs_result, cvv_result, sca_exemption, initiator, received_at, shard, status, attempts)
SELECT %(source)s, 'e' || i, 'authorization', at, 'card-' || i::bigint * 7919 %% 400000, 1250, 1250, 'EUR', 1,
  CASE WHEN i %% 100 = 0 THEN 'shop' ELSE 'm' || i::bigint * 31 %% 200000 END,
  CASE WHEN i %% 100 = 0 THEN 'shop-1' ELSE 't' || i::bigint * 31 %% 400000 END, '5411', 'BE', 'chip', 'pos',
  CASE WHEN i %% 100 = 0 THEN 'kiosk' WHEN i %% 5 = 0 THEN 'd' || i::bigint * 13 %% 300000 ELSE '' END,
  CASE WHEN i %% 100 = 0 THEN '203.0.113.7'::inet WHEN i %% 5 = 0 THEN '10.0.0.0'::inet + i %% 65536 END,
  '', '', '', '', '', '', '', '', '', '', '', at, i %% 16, %(status)s, 0
FROM (SELECT i, now() - i / %(total)s::float8 * interval '60 days' AS at
  FROM generate_series(%(first)s, %(last)s) AS i) AS drawn
"""
LABELS = """
INSERT INTO fraud_fraudlabel (transaction_id, fraud, source, type, scheme, raw_code, known_at, received_at)
SELECT id, true, 'issuer', '', '', '', received_at, received_at FROM fraud_transaction WHERE id % 500 = 0
"""


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--small", type=int, default=110_000)
    asked.add_argument("--large", type=int, default=10_000_000)
    asked.add_argument("--repeats", type=int, default=40)
    asked.add_argument("--note", default="", help="What else a reader must know, such as a busy machine.")
    given = asked.parse_args()
    table: list[dict[str, Any]] = []
    measures: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="lyn-") as folder:
        os.environ.update(installed(Path(folder)).environment)
        import django

        django.setup()
        for name, payments in (("small", given.small), ("large", given.large)):
            source = _fill(payments)
            rows = [_asked(source, shop, payments, given.repeats) for shop in ("shop", "another")]
            table += rows
            measures[f"p95_ms_{name}"] = max(row["p95_ms"] for row in rows)
        stored = _stored(source, given.repeats)
        _without_indexes()
        bare = _stored(source, given.repeats)
    measures |= {"stored_us_per_event": stored, "index_us_per_event": stored - bare}
    table.append({"storing": "with the indexes", "us_per_event": stored})
    table.append({"storing": "without", "us_per_event": bare})
    report("linked_scale", table, measures, **({"note": given.note} if given.note else {}))


def _fill(payments: int) -> Any:
    from django.db import connection

    from apps.fraud.models import Source

    source = Source.objects.get()
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE fraud_transaction CASCADE")
        for first in range(1, payments + 1, 500_000):
            last = min(payments, first + 499_999)
            cursor.execute(
                PAYMENTS,
                {"source": source.pk, "total": payments, "first": first, "last": last, "status": "decided"},
            )
        cursor.execute(LABELS)
        cursor.execute("VACUUM ANALYZE fraud_transaction, fraud_fraudlabel")
    return source


def _asked(source: Any, where: str, payments: int, repeats: int) -> dict[str, Any]:
    from apps.fraud.alerts.linked import linked_to
    from apps.fraud.models import Transaction

    rows = Transaction.objects.order_by("-pk").filter(device_id__gt="")
    at_shop = rows.filter(merchant_id="shop") if where == "shop" else rows.exclude(merchant_id="shop")
    found = list(at_shop[: WARM + repeats])
    taken = []
    for paid in found:
        start = time.perf_counter()
        linked = linked_to(source.site, paid)
        taken.append((time.perf_counter() - start) * 1000)
    if where == "shop" and not linked["merchant"].capped:
        raise SystemExit("The shop has fewer payments than are counted.")
    cuts = statistics.quantiles(taken[WARM:], n=20)
    return {"payments": payments, "at": where, "p50_ms": statistics.median(taken[WARM:]), "p95_ms": cuts[18]}


def _stored(source: Any, repeats: int) -> float:
    """Microseconds an event, the median of `repeats` batches, each stored, committed, and then decided."""
    from django.db import connection

    taken = []
    for number in range(WARM + repeats):
        first = time.time_ns() % 10**9 + number * BATCH
        given = {"source": source.pk, "total": 10**9, "first": first, "last": first + BATCH - 1}
        start = time.perf_counter()
        with connection.cursor() as cursor:
            cursor.execute(PAYMENTS, {**given, "status": "pending"})
            cursor.execute("UPDATE fraud_transaction SET status = 'decided' WHERE status = 'pending'")
        taken.append((time.perf_counter() - start) * 1e6 / BATCH)
    return statistics.median(taken[WARM:])


def _without_indexes() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        for name in INDEXES:
            cursor.execute(f"DROP INDEX {name}")


if __name__ == "__main__":
    main()
