"""How long a labelled backtest takes, in seconds per million payments, on PostgreSQL.

    python -m benchmarks.rule_backtest [--payments 1000000]

A PostgreSQL of its own is filled with decided payments, their evidence vectors and labels; then backtests
run as the worker runs them, slice by slice, each slice kept before the next, without the broker between
bells. `rule_backtest_s_per_million` is that of twenty rules over fields of the event, of the card's last hour
and of what the model saw; reading the payments is most of it, so a hundred rules cost little more.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import report
from benchmarks.serving_place import Place, installed

VECTORS = 64
PART = 100_000
DAYS = 90
# i counts back from now: 100,000 payments a day of 200,000 cards, half in stores, one in 300 a fraud.
TRANSACTIONS = """
INSERT INTO fraud_transaction (source_id, event_id, type, occurred_at, card_token, amount_minor,
  amount_reporting_minor, currency, fx_rate, merchant_id, terminal_id, mcc, country, entry_mode, channel,
  device_id, ip, network_reference, original_event_id, scheme, bin, issuer_country, funding, auth_response,
  avs_result, cvv_result, sca_exemption, initiator, received_at, shard, status, attempts)
SELECT %(source)s, 'bench-' || i, 'authorization', at, 'card-' || (i::bigint * 7919 %% 200000), amount,
  amount, 'EUR', 1, 'merchant-' || i %% 5000, 'terminal-' || i %% 9000,
  (ARRAY['5411','5812','5999','7995','4111','6011','5732','5541'])[1 + i %% 8],
  (ARRAY['BE','FR','DE','NL','ES','US'])[1 + i * 31 %% 6],
  CASE WHEN i %% 2 = 0 THEN 'chip' ELSE 'ecommerce' END, CASE WHEN i %% 2 = 0 THEN 'pos' ELSE 'ecom' END,
  CASE WHEN i %% 2 = 0 THEN '' ELSE 'device-' || i %% 30000 END,
  NULL, '', '', 'visa', '411111', (ARRAY['BE','FR','DE'])[1 + i %% 3], 'credit', '00', '', '', '', '', at,
  i %% 16, 'decided', 0
FROM (SELECT i, now() - i * interval '1 day' / 100000 AS at, 100 + (i::bigint * 104729 %% 300000) AS amount
  FROM generate_series(%(last)s, %(first)s, -1) AS i) AS drawn
"""
DECISIONS = """
INSERT INTO fraud_decision (public_id, transaction_id, outcome, score, mode, mode_reason, main_reason,
  model_version, artefact_hash, review_threshold, decline_threshold, ruleset_version, deadline_hit,
  decided_at, latency_ms)
SELECT gen_random_uuid(), id,
  CASE WHEN score >= 0.9 THEN 'decline' WHEN score >= 0.6 THEN 'review' ELSE 'approve' END, score,
  'full', '', '', 1, repeat('0', 64), 0.6, 0.9, 1, false, received_at, 5
FROM (SELECT id, received_at, power((id * 48271 %% 10007) / 10007.0, 12) AS score FROM fraud_transaction
  WHERE id > %(after)s ORDER BY id) AS scored
"""
EVIDENCE = """
INSERT INTO fraud_evidence (decision_id, features, reasons)
SELECT id, (%(vectors)s::bytea[])[1 + id %% {vectors}], '[]' FROM fraud_decision WHERE id > %(after)s
""".replace("{vectors}", str(VECTORS))
LABELS = """
INSERT INTO fraud_fraudlabel (transaction_id, fraud, source, type, scheme, raw_code, known_at, received_at)
SELECT transaction_id, id %% 300 = 0, 'issuer', '', '', '', decided_at, decided_at FROM fraud_decision
WHERE (id %% 300 = 0 OR id %% 20 = 1) AND id > %(after)s
"""
RULES = [
    ("large_abroad", "amount_minor >= 50000 and issuer_country != country", "review"),
    ("gambling_at_night", 'mcc in ["7995", "6051"] and hour < 6 and not three_ds_liability_shift', "decline"),
    ("testing", 'card_count_10min >= 4 and amount_minor < 200 and channel == "ecom"', "decline"),
    ("two_countries", 'other_country_1h != ""', "review"),
    ("new_device_large", "has_state and new_device == 1 and amount_over_usual > 2", "review"),
    ("prefix", 'mcc[:2] == "59" and not card_present', "review"),
    ("part", '"-77" in merchant_id and amount_minor > 1000', "review"),
    ("weekend", "weekday >= 6 and amount_minor % 1000 == 0 and amount_minor / 100 > 500", "review"),
    ("fast", "speed_log > 7 and card_present", "decline"),
    ("terminal", "terminal_bad_14d >= 2 and terminal_risk_30d > 0.1", "decline"),
]


def backtests_of(site: Any, by: Any, rules: list[dict[str, Any]]) -> dict[str, Any]:
    """One backtest over the last DAYS of what is there, as a row of the table."""
    from apps.fraud.backtests.services.backtests import run_backtest, start_backtest
    from apps.fraud.models import BacktestState

    begun = start_backtest(site=site, by=by, rules=rules, version=None, days=DAYS)
    start, used = time.perf_counter(), time.process_time()
    while begun.state == BacktestState.RUNNING:
        run_backtest(begun.pk)
        begun.refresh_from_db()
    if begun.state != BacktestState.DONE:
        raise SystemExit(f"The backtest ended as {begun.state}: {begun.fault}")
    payments, took = begun.tally["whole"][0], time.perf_counter() - start
    return {
        "rules": len(rules), "payments": payments, "seconds": took, "s_per_million": took / payments * 1e6,
        "own_cpu_s_per_million": (time.process_time() - used) / payments * 1e6,
    }  # fmt: skip


def rule_backtest(site: Any, by: Any) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """The measure and the rows, of what is in the database; Django is set up."""
    from apps.fraud.rules.builtin_rules import RULES as BUILT_IN

    rows = [backtests_of(site, by, rules) for rules in (list(BUILT_IN), many(20), many(100))]
    return {"rule_backtest_s_per_million": rows[1]["s_per_million"]}, rows


def many(count: int) -> list[dict[str, Any]]:
    """RULES again and again, no two alike."""
    return [
        {
            "code": f"{code}_{turn}", "when": f"({when}) and original_amount_minor > {turn}",
            "action": action, "text": "x", "value": "", "baseline": "", "shadow": False,
        }
        for turn in range(count // len(RULES))
        for code, when, action in RULES
    ]  # fmt: skip


def fill(source: int, payments: int) -> None:
    """Decided payments with evidence and labels, the oldest first, after what is there."""
    from django.db import connection

    from apps.fraud.models import Decision, Transaction
    from ml.fraud.features import N_FEATURES

    drawn = np.random.default_rng(1).normal(0, 1.5, (VECTORS, N_FEATURES + 1)).round(1).astype("<f4")
    vectors = [row.tobytes() for row in drawn]
    with connection.cursor() as cursor:
        for last in range(payments, 0, -PART):
            newest = Transaction.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
            decided = Decision.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
            first = max(1, last - PART + 1)
            cursor.execute(TRANSACTIONS, {"source": source, "first": first, "last": last})
            cursor.execute(DECISIONS, {"after": newest})
            cursor.execute(EVIDENCE, {"after": decided, "vectors": vectors})
            cursor.execute(LABELS, {"after": decided})
        cursor.execute("VACUUM ANALYZE fraud_transaction, fraud_decision, fraud_evidence, fraud_fraudlabel")


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--payments", type=int, default=1_000_000)
    asked.add_argument("--note", default="", help="What else a reader must know, such as a busy machine.")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="lyn-") as folder:
        site, by = _desk(installed(Path(folder)), given.payments)
        measures, rows = rule_backtest(site, by)
    more = {"note": given.note} if given.note else {}
    report("rule_backtest", rows, measures, **more)


def _desk(place: Place, payments: int) -> tuple[Any, Any]:
    os.environ.update(place.environment)
    import django

    django.setup()
    from apps.accounts.models import Site, User
    from apps.fraud.models import Source

    site = Site.objects.get(slug="demo")
    fill(Source.objects.get(slug=place.source).pk, payments)
    return site, User.objects.filter(site=site, role="fraud_analyst").order_by("pk")[0]


if __name__ == "__main__":
    main()
