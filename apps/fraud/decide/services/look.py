"""All that deciding a batch needs to know, asked in one round trip once the states are locked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

from apps.accounts.models import Site
from apps.core.sql import Answered, from_column, new_ids, one_of, round_trip, run, to_column
from apps.fraud.models import Decision, Transaction, TransactionStatus
from apps.fraud.rules.facts import WINDOW, Earlier
from apps.fraud.rules.rules import Rules
from apps.fraud.rules.services.rulesets import ask_revision, rules_of
from apps.fraud.serving.services.states import Locked, ask_states, held
from apps.modelops.common.selectors import Serving, ask_serving, serving_of
from ml.fraud.memory import keys_of

NEAR_MAX = 2000


class AlreadyDecided(Exception):
    """A row of the batch is no longer pending: nothing of the batch may be kept."""


@dataclass(frozen=True, slots=True)
class Looked:
    """Locked states by key, each row's last hour, keys for the decisions, and what is in service."""

    states: Locked
    earlier: list[list[Earlier]]
    decision_ids: list[int]
    serving: Serving | None
    rules: Rules


def look(
    site: Site, rows: Sequence[Transaction], *, locking: bool, first: Callable[[], None] | None = None
) -> Looked:
    """`first` may store the rows themselves. Those that are pending are claimed: AlreadyDecided where
    somebody else was faster."""
    pending = [row for row in rows if row.status == TransactionStatus.PENDING]
    with round_trip():
        if first:
            first()
        states = ask_states(site.pk, chain.from_iterable(map(keys_of, rows))) if locking else None
        claimed = _claim(pending) if pending else None
        near = _ask_near(site, rows)
        # After the locks: for any one card or terminal a larger key is a later decision.
        ids = new_ids(Decision, len(rows))
        serving = ask_serving("fraud")
        revision = ask_revision(site)
    if claimed and len(claimed.fetchall()) != len(pending):
        raise AlreadyDecided
    for row in pending:
        row.status = TransactionStatus.DECIDED
    return Looked(
        held(states) if states else {}, _earlier(near, rows), [pk for (pk,) in ids.fetchall()],
        serving_of(serving), rules_of(site, revision),
    )  # fmt: skip


def last_hour(site: Site, rows: Sequence[Transaction]) -> list[list[Earlier]]:
    """For each row, the card's payments stored before it that happened within WINDOW of it."""
    return _earlier(_ask_near(site, rows), rows)


def _claim(rows: Sequence[Transaction]) -> Answered:
    among, wanted = one_of([row.pk for row in rows], "bigint")
    return run(
        f"UPDATE fraud_transaction SET status = 'decided' WHERE id {among} AND status = 'pending'"
        " RETURNING id",
        [wanted],
    )


def _ask_near(site: Site, rows: Sequence[Transaction]) -> list[Answered]:
    """Payments of the rows' cards about the rows' times: one statement, or one more for each row that lies
    far from the others, for one old event must not open years of all cards.

    The newest NEAR_MAX of each: a token that a thousand people share must not be read whole.
    """
    groups: list[list[Transaction]] = []
    for row in sorted(rows, key=lambda row: row.occurred_at):
        if not groups or row.occurred_at - groups[-1][0].occurred_at > WINDOW:
            groups.append([])
        groups[-1].append(row)
    return [_ask_about(site, group) for group in groups]


def _ask_about(site: Site, rows: Sequence[Transaction]) -> Answered:
    among, cards = one_of(sorted({row.card_token for row in rows}))
    return run(
        "SELECT id, card_token, occurred_at, country, entry_mode, channel FROM fraud_transaction"
        f" WHERE card_token {among} AND occurred_at BETWEEN %s AND %s AND type IN ('authorization', 'advice')"
        " AND source_id IN (SELECT id FROM fraud_source WHERE site_id = %s)"
        # Not by its key, or PostgreSQL might read the table backwards for it.
        f" ORDER BY occurred_at DESC LIMIT {NEAR_MAX}",
        [cards, to_column(rows[0].occurred_at - WINDOW), to_column(rows[-1].occurred_at + WINDOW), site.pk],
    )


def _earlier(near: Sequence[Answered], rows: Sequence[Transaction]) -> list[list[Earlier]]:
    by_card: dict[str, dict[int, Earlier]] = defaultdict(dict)
    for pk, card_token, at, *of_place in chain.from_iterable(one.fetchall() for one in near):
        by_card[card_token][pk] = Earlier(pk, from_column(at), *of_place)
    return [
        [
            other
            for other in by_card[row.card_token].values()
            if other.pk < row.pk and abs(other.occurred_at - row.occurred_at) <= WINDOW
        ]
        for row in rows
    ]
