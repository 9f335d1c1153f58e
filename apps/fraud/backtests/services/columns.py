"""Decided payments as columns, thousands at a time: the facts that rules look at, what was decided, labels.

PostgreSQL packs each column into one value, which NumPy reads as it is: a row costs no Python object. The
fields are those of `facts`, said again in SQL; a test holds the two to each other. SQLite is asked row by
row.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import psycopg
from django.conf import settings
from django.db import connection

from apps.accounts.models import Site
from apps.core.sql import ON_POSTGRES
from apps.fraud.backtests.backtest import OUTCOMES, UNKNOWN, Floats, Ints, Slice
from apps.fraud.backtests.vectors import Column, text_column
from apps.fraud.decide.services.look import NEAR_MAX, last_hour
from apps.fraud.models import Decision, EventType, FraudLabel, Mode, Outcome, Source
from apps.fraud.rules.expressions import Kind
from apps.fraud.rules.facts import BURST_WINDOW, KINDS, OF_STATE, WINDOW, Facts
from apps.fraud.rules.rules import SEVERITY
from ml.fraud.features import FEATURE_NAMES, N_FEATURES

VECTOR_BYTES = 4 * (N_FEATURES + 1)
OF_NEAR = frozenset({"card_count_10min", "other_country_1h"})


def read_slice(site: Site, after: int, upto: int, names: Collection[str]) -> Slice:
    """The site's decisions whose key is above `after` and at most `upto`, with these fields."""
    return _packed(site, after, upto, names) if ON_POSTGRES else _by_facts(site, after, upto, names)


# As `facts.PRESENT`.
_PRESENT = "({0}.entry_mode IN ('chip', 'contactless', 'magstripe') AND {0}.channel IN ('pos', 'atm'))"
_TEXTS = (
    "currency", "type", "mcc", "merchant_id", "terminal_id", "country", "channel", "entry_mode", "device_id",
    "scheme", "bin", "issuer_country", "funding", "auth_response", "avs_result", "cvv_result",
    "sca_exemption", "initiator",
)  # fmt: skip
_SQL: dict[str, str] = {
    "amount_minor": "t.amount_reporting_minor",
    "original_amount_minor": "t.amount_minor",
    **{name: f"t.{name}" for name in _TEXTS},
    "ip": "coalesce(host(t.ip), '')",
    **{
        f"three_ds_{name}": f"coalesce(t.three_ds->>'{name}', '')"
        for name in ("version", "trans_status", "eci")
    },
    "three_ds_liability_shift": "coalesce((t.three_ds->>'liability_shift')::boolean, false)",
    "source": "(%(slugs)s::text[])[array_position(%(sources)s::bigint[], t.source_id)]",
    "sent_before": "t.duplicate_of_id IS NOT NULL",
    "hour": "extract(hour FROM t.occurred_at AT TIME ZONE %(zone)s::text)",
    "weekday": "extract(isodow FROM t.occurred_at AT TIME ZONE %(zone)s::text)",
    "card_present": _PRESENT.format("t"),
    "card_count_10min": "1 + near.n",
    "other_country_1h": f"CASE WHEN {_PRESENT.format('t')} THEN coalesce(near.elsewhere, '') ELSE '' END",
    "has_state": f"d.mode = '{Mode.FULL}'",
}
# As `look.last_hour`, of each row by itself: the card's payments stored before it and near it in time.
_NEAR = f"""
LEFT JOIN LATERAL (
  SELECT
    count(*) FILTER (WHERE occurred_at BETWEEN t.occurred_at - %(burst)s AND t.occurred_at + %(burst)s) AS n,
    min(country COLLATE "C") FILTER (WHERE {_PRESENT.format("o")} AND country <> t.country) AS elsewhere
  FROM (
    SELECT b.occurred_at, b.country, b.entry_mode, b.channel
    FROM fraud_transaction b
    WHERE b.card_token = t.card_token AND b.id < t.id AND b.source_id = ANY(%(sources)s::bigint[])
      AND b.occurred_at BETWEEN t.occurred_at - %(window)s AND t.occurred_at + %(window)s
      AND b.type IN ('authorization', 'advice')
    ORDER BY b.occurred_at DESC LIMIT {NEAR_MAX}
  ) AS o
) AS near ON true
"""
_ALWAYS = {
    "id": ("d.id", Kind.NUMBER),
    "amount": ("t.amount_reporting_minor", Kind.NUMBER),
    "made": (f"array_position(ARRAY{[str(one) for one in OUTCOMES]}, d.outcome::text) - 1", Kind.NUMBER),
    "advice": (f"t.type = '{EventType.ADVICE}'", Kind.TRUTH),
}
_KEPT = f"coalesce(length(e.features) = {VECTOR_BYTES}, false)"


def _packed(site: Site, after: int, upto: int, names: Collection[str]) -> Slice:
    """Whatever order PostgreSQL reads the rows in, all columns of one answer have it."""
    of_state, own = OF_STATE & set(names), [name for name in names if name not in FEATURE_NAMES]
    features = [name for name in names if name in FEATURE_NAMES]
    asked = {**_ALWAYS, **{f"field {name}": (_SQL[name], KINDS[name]) for name in own}}
    if of_state:
        asked["seen"], asked["with_history"] = (_KEPT, Kind.TRUTH), (_SQL["has_state"], Kind.TRUTH)
    parts = [_aggregate(*one) for one in asked.values()]
    parts += [_bytes(f"float8send(coalesce({name}, 'NaN'))") for name in _OF_MODEL]
    parts += [_feature(FEATURE_NAMES.index(name)) for name in features]
    near = _NEAR if OF_NEAR & set(names) else ""
    kept = _KEPT_OF if of_state else ""
    given = _given(site, after, upto)
    row = _one_row(f"SELECT {', '.join(parts)} {_FROM} {kept} {near} {_WHERE}", given)
    found = {
        name: _unpacked(value, kind) for (name, (_, kind)), value in zip(asked.items(), row, strict=False)
    }
    scores, review, decline = (np.frombuffer(one or b"", ">f8") for one in row[len(asked) : len(asked) + 3])
    vectors = (np.frombuffer(one or b"", "<f4").astype(np.float64) for one in row[len(asked) + 3 :])
    columns = {name: found[f"field {name}"] for name in own}
    columns |= {name: Column(values) for name, values in zip(features, vectors, strict=True)}
    ids = found["id"].values.astype(np.int64)
    seen, with_history = (
        found[name].values if of_state else np.ones(len(ids), bool) for name in ("seen", "with_history")
    )
    return Slice(
        columns, seen, with_history, found["amount"].values.astype(np.int64), _labels(ids, given),
        scores.astype(np.float64), _severity(scores, review, decline),
        found["made"].values.astype(np.int64), found["advice"].values,
    )  # fmt: skip


_OF_MODEL = ("d.score", "d.review_threshold", "d.decline_threshold")
# The same bounds for each table, so that PostgreSQL reads a part of each in the order of its key.
_FROM = (
    "FROM fraud_decision d JOIN fraud_transaction t"
    " ON t.id = d.transaction_id AND t.id BETWEEN %(first)s AND %(last)s"
)
_KEPT_OF = (
    "LEFT JOIN fraud_evidence e"
    " ON e.decision_id = d.id AND e.decision_id > %(after)s AND e.decision_id <= %(upto)s"
)
_WHERE = "WHERE d.id > %(after)s AND d.id <= %(upto)s AND t.source_id = ANY(%(sources)s::bigint[])"
_LABELS = f"""
SELECT string_agg(int8send(d.id), ''::bytea ORDER BY l.received_at, l.id),
  string_agg(int8send(l.fraud::int), ''::bytea ORDER BY l.received_at, l.id)
{_FROM} JOIN fraud_fraudlabel l ON l.transaction_id = t.id AND l.transaction_id BETWEEN %(first)s AND %(last)s
{_WHERE}
"""
# + 0: else PostgreSQL walks the index of transaction ids, from its other end, for the first that fits.
_BOUNDS = (
    "SELECT coalesce(min(transaction_id + 0), 0), coalesce(max(transaction_id + 0), 0) FROM fraud_decision"
    " WHERE id > %(after)s AND id <= %(upto)s"
)


def _given(site: Site, after: int, upto: int) -> dict[str, Any]:
    sources = list(Source.objects.filter(site=site).order_by("pk").values_list("pk", "slug"))
    first, last = _one_row(_BOUNDS, {"after": after, "upto": upto})
    return {
        "after": after, "upto": upto, "first": first, "last": last, "sources": [pk for pk, _ in sources],
        "slugs": [slug for _, slug in sources], "zone": settings.TIME_ZONE, "window": WINDOW,
        "burst": BURST_WINDOW,
    }  # fmt: skip


def _labels(ids: Ints, given: dict[str, Any]) -> Ints:
    """The last word on each payment, as it is known now."""
    of, fraud = (np.frombuffer(one or b"", ">i8") for one in _one_row(_LABELS, given))
    labels = np.full(len(ids), UNKNOWN, np.int64)
    order = np.argsort(ids)
    at = np.minimum(np.searchsorted(ids, of, sorter=order), max(0, len(ids) - 1))
    there = ids[order[at]] == of if len(ids) else np.zeros(len(of), bool)
    # In the order they came, so that of several the last is kept.
    labels[order[at[there]]] = fraud[there]
    return labels


def _severity(scores: Floats, review: Floats, decline: Floats) -> Ints:
    asked = (scores >= review).astype(np.int64) + (scores >= decline)
    return np.where(np.isnan(scores), UNKNOWN, asked)


def _one_row(statement: str, given: dict[str, Any]) -> Sequence[Any]:
    """In PostgreSQL's binary format, which Django's own cursors do not ask for."""
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        return list(cursor.execute(statement, given, binary=True).fetchone() or ())


def _bytes(packed: str) -> str:
    return f"string_agg({packed}, ''::bytea)"


def _aggregate(sql: str, kind: Kind) -> str:
    if kind is Kind.TEXT:
        return f"json_agg({sql})::text"
    if kind is Kind.TRUTH:
        return _bytes(rf"CASE WHEN {sql} THEN '\x01'::bytea ELSE '\x00'::bytea END")
    return _bytes(f"int8send(({sql})::bigint)")


def _feature(index: int) -> str:
    part = f"substring(e.features FROM {4 * index + 1} FOR 4)"
    return _bytes(rf"CASE WHEN {_KEPT} THEN {part} ELSE '\x00000000'::bytea END")


def _unpacked(value: Any, kind: Kind) -> Column:
    if kind is Kind.TEXT:
        return text_column(orjson.loads(value) if value else [])
    if kind is Kind.TRUTH:
        return Column(np.frombuffer(value or b"", np.uint8).astype(bool))
    return Column(np.frombuffer(value or b"", ">i8").astype(np.float64))


def _by_facts(site: Site, after: int, upto: int, names: Collection[str]) -> Slice:
    """The same from the facts themselves, a row at a time."""
    made = Decision.objects.select_related("transaction__source", "evidence").order_by("pk")
    decisions = list(made.filter(transaction__source__site=site, pk__gt=after, pk__lte=upto))
    rows = [decision.transaction for decision in decisions]
    earlier = last_hour(site, rows) if rows else []
    vectors = [_vector(decision) for decision in decisions]
    facts = [
        Facts(row, before, vector if decision.mode == Mode.FULL else None)
        for decision, row, before, vector in zip(decisions, rows, earlier, vectors, strict=True)
    ]
    said = FraudLabel.objects.filter(transaction__in=rows).order_by("received_at", "pk")
    label_of = {label.transaction_id: int(label.fraud) for label in said}
    by_model = [one.outcome_by_score for one in decisions]
    every = np.ones(len(rows), bool)
    seen = np.array([vector is not None for vector in vectors], bool)
    with_history = np.array([one.mode == Mode.FULL for one in decisions], bool)
    return Slice(
        {name: _as_column([one[name] for one in facts], KINDS[name]) for name in names},
        *((seen, with_history) if OF_STATE & set(names) else (every, every)),
        np.array([row.amount_reporting_minor for row in rows], np.int64),
        np.array([label_of.get(row.pk, UNKNOWN) for row in rows], np.int64),
        np.array([one.score for one in decisions], np.float64),
        np.array([UNKNOWN if one is None else SEVERITY[one] for one in by_model], np.int64),
        np.array([SEVERITY[Outcome(one.outcome)] for one in decisions], np.int64),
        np.array([row.type == EventType.ADVICE for row in rows], bool),
    )


def _vector(decision: Decision) -> npt.NDArray[np.float32] | None:
    features = bytes(decision.evidence.features) if hasattr(decision, "evidence") else b""
    return np.frombuffer(features, "<f4") if len(features) == VECTOR_BYTES else None


def _as_column(values: Sequence[Any], kind: Kind) -> Column:
    if kind is Kind.TEXT:
        return text_column(values)
    return Column(np.array(values, bool if kind is Kind.TRUTH else np.float64))
