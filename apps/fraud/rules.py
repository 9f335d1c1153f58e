"""Hard rules: they hold beside the model and decide alone when it cannot answer.

Each looks at one transaction and the card's own last hour, both as of the moment it arrived.
Amounts are in minor units of the reporting currency. The limits are deliberately wide: finer
judgement is the model's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from apps.fraud.models import Channel, EntryMode, Outcome, Transaction
from apps.fraud.money import REPORTING_CURRENCY, format_minor

VERSION = 1  # raise it with any change below: a decision names the rules it was made by
WINDOW = timedelta(hours=1)
BURST_WINDOW = timedelta(minutes=10)
REVIEW_AMOUNT_MINOR = 250_000
DECLINE_AMOUNT_MINOR = 2_500_000
REVIEW_BURST = 8
DECLINE_BURST = 15
SEVERITY = {Outcome.APPROVE: 0, Outcome.REVIEW: 1, Outcome.DECLINE: 2}
PRESENT = frozenset({EntryMode.CHIP, EntryMode.CONTACTLESS, EntryMode.MAGSTRIPE})


@dataclass(frozen=True, slots=True)
class RuleHit:
    """A rule that fired: what it asks for, and why, in words."""

    code: str
    outcome: Outcome
    text: str
    value: float | str
    baseline: float | str


@dataclass(frozen=True, slots=True)
class Earlier:
    """A payment of the same card that arrived before, as much of it as the rules look at."""

    pk: int
    occurred_at: datetime
    country: str
    entry_mode: str
    channel: str


def apply_rules(row: Transaction, earlier: Sequence[Earlier]) -> list[RuleHit]:
    """`earlier`: the card's transactions that arrived before and happened within WINDOW of this one."""
    found = (_large_amount(row), _burst(row, earlier), _two_countries(row, earlier))
    return [hit for hit in found if hit is not None]


def severest(outcomes: Sequence[Outcome]) -> Outcome:
    return max(outcomes, key=SEVERITY.__getitem__, default=Outcome.APPROVE)


def _large_amount(row: Transaction) -> RuleHit | None:
    if row.amount_reporting_minor < REVIEW_AMOUNT_MINOR:
        return None
    declined = row.amount_reporting_minor >= DECLINE_AMOUNT_MINOR
    limit = DECLINE_AMOUNT_MINOR if declined else REVIEW_AMOUNT_MINOR
    return RuleHit(
        "rule_large_amount",
        Outcome.DECLINE if declined else Outcome.REVIEW,
        f"The amount reaches the limit of {format_minor(limit, REPORTING_CURRENCY)}.",
        row.amount_reporting_minor,
        limit,
    )


def _burst(row: Transaction, earlier: Sequence[Earlier]) -> RuleHit | None:
    count = 1 + sum(abs(row.occurred_at - other.occurred_at) <= BURST_WINDOW for other in earlier)
    if count < REVIEW_BURST:
        return None
    declined = count >= DECLINE_BURST
    return RuleHit(
        "rule_burst",
        Outcome.DECLINE if declined else Outcome.REVIEW,
        f"{count} transactions with this card within ten minutes.",
        count,
        DECLINE_BURST if declined else REVIEW_BURST,
    )


def _two_countries(row: Transaction, earlier: Sequence[Earlier]) -> RuleHit | None:
    if not _present(row):
        return None
    elsewhere = {other.country for other in earlier if _present(other)} - {row.country}
    if not elsewhere:
        return None
    other = min(elsewhere)
    return RuleHit(
        "rule_two_countries",
        Outcome.REVIEW,
        f"The card was present in {row.country} and in {other} within one hour.",
        row.country,
        other,
    )


def _present(row: Transaction | Earlier) -> bool:
    return row.entry_mode in PRESENT and row.channel in (Channel.POS, Channel.ATM)
