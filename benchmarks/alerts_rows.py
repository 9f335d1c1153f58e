"""A site's decisions and open alerts in PostgreSQL, by bulk statements; rows lean, as ten million need."""

from __future__ import annotations

from django.db import connection

CHUNK = 500_000
CARDS_SHARE = 25  # payments a card
RAISED = 50  # one decision in so many is an alert, one alert in three a declined payment
TABLES = (
    "workmove", "alert", "workitem", "evidence", "rescore", "decision", "eventkey", "transaction",
)  # fmt: skip
TRANSACTIONS = """
INSERT INTO fraud_transaction (id, source_id, event_id, type, occurred_at, card_token, amount_minor,
  amount_reporting_minor, currency, fx_rate, merchant_id, terminal_id, mcc, country, entry_mode, channel,
  device_id, network_reference, original_event_id, scheme, bin, issuer_country, funding, auth_response,
  avs_result, cvv_result, sca_exemption, initiator, received_at, shard, status, attempts)
SELECT i, %(source)s, 'e' || i, 'authorization', at, 'card-' || drawn %% %(cards)s, amount, amount, 'EUR', 1,
  'm' || drawn %% 5000, 't' || drawn %% 9000, '5411', 'BE', 'ecommerce', 'ecom', '', '', '', '', '', '', '',
  '', '', '', '', '', at, i %% 16, 'decided', 0
FROM (SELECT i, hashint8(i) & 2147483647 AS drawn, 100 + (hashint8(i + 1) & 2147483647) %% 200000 AS amount,
  now() - (%(last_of_all)s - i) * interval '8 milliseconds' AS at
  FROM generate_series(%(first)s, %(last)s) AS i) AS payment
"""
DECISIONS = """
INSERT INTO fraud_decision (id, public_id, transaction_id, outcome, score, mode, mode_reason, main_reason,
  model_version, artefact_hash, review_threshold, decline_threshold, ruleset_version, deadline_hit,
  decided_at, latency_ms)
SELECT id, gen_random_uuid(), id, CASE WHEN id %% {raised} <> 0 THEN 'approve' WHEN id %% {declined} = 0
  THEN 'decline' ELSE 'review' END,
  CASE WHEN id %% {raised} <> 0 THEN 0.01 ELSE 0.3 + (id %% 700) / 1000.0 END,
  CASE WHEN id %% 100000 = 7 THEN 'no_state' ELSE 'full' END, '',
  CASE WHEN id %% {raised} = 0 THEN 'Amount 11x this card''s usual' ELSE '' END, 1, '', 0.3, 0.9, 1, false,
  received_at, 5
FROM fraud_transaction WHERE id BETWEEN %(first)s AND %(last)s
""".replace("{raised}", str(RAISED)).replace("{declined}", str(3 * RAISED))
RAISED_NOW = """
CREATE TEMP TABLE raised AS SELECT made.id AS decision_id, card_token, amount_reporting_minor AS amount,
  round(score * amount_reporting_minor)::bigint AS risk, decided_at,
  CASE outcome WHEN 'decline' THEN 'friction' ELSE 'loss' END AS desk
FROM fraud_decision made JOIN fraud_transaction paid ON paid.id = made.transaction_id
WHERE outcome <> 'approve'
"""
# Some are held, given, put off or escalated; a third is overdue.
ITEMS = """
INSERT INTO fraud_workitem (site_id, desk, card_token, alert_count, amount_reporting_minor, at_stake_minor,
  opened_at, due_at, locked_by_id, locked_until, assignee_id, snoozed_until, escalated_at)
SELECT %(site)s, desk, card_token, n, amount, stake, opened,
  now() + (drawn %% 300 - 100) * interval '1 minute', CASE WHEN drawn %% 5000 = 1 THEN %(other)s END,
  CASE WHEN drawn %% 5000 = 1 THEN now() + interval '1 day' END,
  CASE WHEN drawn %% 100 = 2 OR drawn %% 500 = 4 THEN %(other)s WHEN drawn %% 1000 = 5 THEN %(me)s END,
  CASE WHEN drawn %% 50 = 3 THEN now() + interval '1 day' END, CASE WHEN drawn %% 500 = 4 THEN now() END
FROM (SELECT desk, card_token, hashtext(card_token) & 2147483647 AS drawn, count(*) AS n,
  sum(amount) AS amount, sum(CASE desk WHEN 'loss' THEN risk ELSE amount - risk END) AS stake,
  min(decided_at) AS opened
  FROM raised GROUP BY desk, card_token) AS card
"""
ALERTS = """
INSERT INTO fraud_alert (site_id, decision_id, status, amount_reporting_minor, risk_minor, created_at,
  item_id, at_stake_minor)
SELECT %(site)s, decision_id, 'open', amount, risk, decided_at, item.id,
  CASE raised.desk WHEN 'loss' THEN risk ELSE amount - risk END
FROM raised JOIN fraud_workitem item ON item.desk = raised.desk AND item.card_token = raised.card_token
ORDER BY decision_id
"""


def fill(site: int, source: int, me: int, other: int, *, decisions: int) -> None:
    """In place of what was there. Every alert is open."""
    given = {"site": site, "source": source, "me": me, "other": other, "last_of_all": decisions,
             "cards": max(1, decisions // CARDS_SHARE)}  # fmt: skip
    names = [f"fraud_{name}" for name in TABLES]
    with connection.cursor() as cursor:
        # Keys among ten million rows of our own making are not looked up one by one.
        cursor.execute("SET session_replication_role = replica; SET synchronous_commit = off")
        cursor.execute(f"TRUNCATE {', '.join(names)} RESTART IDENTITY CASCADE")
        for statement in (TRANSACTIONS, DECISIONS):
            for first in range(1, decisions + 1, CHUNK):
                cursor.execute(
                    statement, {**given, "first": first, "last": min(decisions, first + CHUNK - 1)}
                )
        for statement in ("DROP TABLE IF EXISTS raised", RAISED_NOW, ITEMS, ALERTS):
            cursor.execute(statement, given)
        cursor.execute("RESET session_replication_role")
        cursor.execute(f"VACUUM ANALYZE {', '.join(names)}")
