"""The rows a plain service keeps of a decision, in tables made like ours, one COMMIT a batch.

Four binary COPYs: at batches of 64 the cheapest for client and server alike among them, INSERTs of many rows,
executemany in a pipeline, one statement over arrays, and one over JSON; at 16 as cheap as the last of these.
What is the same in every row is the column's default.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql

from ml.fraud.contracts import EventScore
from ml.fraud.predict import FraudPredictor

TABLES = ("transaction", "eventkey", "decision", "evidence")
NEVER_SENT = (
    "device_id", "network_reference", "original_event_id", "scheme", "bin", "issuer_country", "funding",
    "auth_response", "avs_result", "cvv_result", "sca_exemption", "initiator",
)  # fmt: skip
DEFAULTS: dict[str, dict[str, Any]] = {
    "transaction": {
        **dict.fromkeys(NEVER_SENT, ""), "shard": 0, "status": "decided", "attempts": 0, "source_id": 1,
        "fx_rate": 1,
    },
    "eventkey": {"source_id": 1},
    "decision": {
        "mode": "full", "mode_reason": "", "deadline_hit": False, "main_reason": "", "ruleset_version": 1,
        "model_version": 1, "latency_ms": 0,
    },
    "evidence": {"reasons": "[]"},
}  # fmt: skip
COLUMNS = {
    "transaction": {
        "id": "int8", "event_id": "varchar", "type": "varchar", "occurred_at": "timestamptz",
        "card_token": "varchar", "amount_minor": "int8", "amount_reporting_minor": "int8",
        "currency": "varchar", "merchant_id": "varchar", "terminal_id": "varchar", "mcc": "varchar",
        "country": "varchar", "entry_mode": "varchar", "channel": "varchar", "received_at": "timestamptz",
    },
    "eventkey": {"transaction_id": "int8", "event_id": "varchar", "body_sha256": "varchar"},
    "decision": {
        "id": "int8", "transaction_id": "int8", "public_id": "uuid", "outcome": "varchar", "score": "float8",
        "artefact_hash": "varchar", "review_threshold": "float8", "decline_threshold": "float8",
        "decided_at": "timestamptz",
    },
    "evidence": {"decision_id": "int8", "features": "bytea"},
}  # fmt: skip
IDS_AT_ONCE = 1000


def create(url: str) -> None:
    """Empty tables with the constraints and indexes of ours, in a schema `peer` of the same database."""
    with psycopg.connect(url) as connection:
        connection.execute("DROP SCHEMA IF EXISTS peer CASCADE")
        connection.execute("CREATE SCHEMA peer")
        for table in TABLES:
            ours, theirs = sql.Identifier(f"fraud_{table}"), sql.Identifier("peer", table)
            connection.execute(sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL)").format(theirs, ours))
            for column, value in DEFAULTS[table].items():
                connection.execute(
                    sql.SQL("ALTER TABLE {} ALTER {} SET DEFAULT {}").format(
                        theirs, sql.Identifier(column), sql.Literal(value)
                    )
                )


def stored(url: str) -> int:
    """How many events have all of their rows."""
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM peer.transaction t JOIN peer.eventkey k ON k.transaction_id = t.id"
            " JOIN peer.decision d ON d.transaction_id = t.id JOIN peer.evidence e ON e.decision_id = d.id"
        ).fetchone()
    return int(row[0]) if row else 0


class Writer:
    def __init__(self, url: str, predictor: FraudPredictor) -> None:
        self.connection = psycopg.connect(url, autocommit=True)
        limits = predictor.thresholds
        self.model = (predictor.artefact_hash, limits.review, limits.decline)
        self.ids: list[int] = []

    def write(
        self, batch: Sequence[dict[str, Any]], scores: Sequence[EventScore], outcomes: Sequence[str]
    ) -> None:
        """All rows of the batch, committed when this returns."""
        at = datetime.now(UTC)
        ids = self._new_ids(len(batch))
        given = list(zip(ids, batch, strict=True))
        decided = zip(ids, scores, outcomes, strict=True)
        rows: dict[str, list[tuple[Any, ...]]] = {
            "transaction": [_transaction(pk, sent, at) for pk, sent in given],
            "eventkey": [(pk, sent["event_id"], body_sha256(sent)) for pk, sent in given],
            "decision": [
                (pk, pk, uuid.uuid4(), outcome, score.score, *self.model, at)
                for pk, score, outcome in decided
            ],
            "evidence": [(pk, score.vector.tobytes()) for pk, score in zip(ids, scores, strict=True)],
        }
        with self.connection.transaction(), self.connection.cursor() as cursor:
            for table in TABLES:
                with cursor.copy(COPIES[table]) as copy:
                    copy.set_types(list(COLUMNS[table].values()))
                    for row in rows[table]:
                        copy.write_row(row)

    def _new_ids(self, count: int) -> list[int]:
        while len(self.ids) < count:
            more = self.connection.execute(
                "SELECT nextval('peer.transaction_id_seq') FROM generate_series(1, %s)", [IDS_AT_ONCE]
            )
            self.ids += [pk for (pk,) in more.fetchall()]
        taken, self.ids = self.ids[:count], self.ids[count:]
        return taken


def _copy_of(table: str) -> str:
    return f"COPY peer.{table} ({', '.join(COLUMNS[table])}) FROM STDIN (FORMAT BINARY)"


COPIES = {table: _copy_of(table) for table in TABLES}


def _transaction(pk: int, sent: dict[str, Any], at: datetime) -> tuple[Any, ...]:
    return (
        pk, sent["event_id"], sent["type"], datetime.fromisoformat(sent["occurred_at"]), sent["card_token"],
        sent["amount_minor"], sent["amount_minor"], sent["currency"], sent["merchant_id"],
        sent["terminal_id"], sent["mcc"], sent["country"], sent["entry_mode"], sent["channel"], at,
    )  # fmt: skip


def body_sha256(sent: dict[str, Any]) -> str:
    """Over canonical JSON, as ours."""
    text = json.dumps(sent, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
