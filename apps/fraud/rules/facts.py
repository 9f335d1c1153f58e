"""What a rule may look at: the event, the card's last hour, and the features the model sees too.

Every field is there for every event and has one type: text that was not sent is "", and where the states
could not be read the features are those of a card never seen (`has_state` is then false). The score is
not here: rules never need the model. Nor is the card's token, which belongs in no rule's text: lists take it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings

from apps.fraud.common.money import REPORTING_CURRENCY, format_minor
from apps.fraud.models import Channel, EntryMode, Transaction
from apps.fraud.rules.expressions import Kind
from apps.fraud.serving.rows import event_of
from ml.fraud.contracts import Vector
from ml.fraud.feature_words import MEANINGS
from ml.fraud.features import FEATURE_NAMES
from ml.fraud.memory import Memory

WINDOW = timedelta(hours=1)
BURST_WINDOW = timedelta(minutes=10)
Features = Sequence[float] | Vector
PRESENT = frozenset({EntryMode.CHIP, EntryMode.CONTACTLESS, EntryMode.MAGSTRIPE})


@dataclass(frozen=True, slots=True)
class Earlier:
    """A payment of the same card that arrived before, as much of it as is looked at."""

    pk: int
    occurred_at: datetime
    country: str
    entry_mode: str
    channel: str


Payments = Sequence[Earlier | Transaction]


class Facts(dict[str, Any]):
    """One event's fields, each worked out when a rule first looks at it."""

    __slots__ = ("cold", "earlier", "features", "row")

    def __init__(self, row: Transaction, earlier: Payments, features: Features | None) -> None:
        """`earlier`: the card's transactions stored before it that happened within WINDOW of it.

        `features`: as `values_of` gives them, (N_FEATURES,), of this event; None where no state was read.
        """
        self.row, self.earlier, self.features = row, earlier, features
        self.cold: Sequence[float] | None = None

    def __missing__(self, name: str) -> Any:
        value = self[name] = FIELDS[name].of(self)
        return value


@dataclass(frozen=True, slots=True)
class Field:
    """`money`: how an amount is written, "reporting" or "original"; empty for what is none."""

    kind: Kind
    words: str
    of: Callable[[Facts], Any]
    money: str = ""

    def said(self, value: Any, facts: Facts) -> str:
        """The value as people read it."""
        if self.money:
            currency = REPORTING_CURRENCY if self.money == "reporting" else facts.row.currency
            return format_minor(int(value), currency)
        return f"{value:.6g}" if isinstance(value, float) else str(value)


def _text(name: str, words: str) -> tuple[str, Field]:
    return name, Field(Kind.TEXT, words, lambda facts: getattr(facts.row, name) or "")


def _three_ds(name: str, words: str) -> tuple[str, Field]:
    return f"three_ds_{name}", Field(
        Kind.TEXT, words, lambda facts: str((facts.row.three_ds or {}).get(name) or "")
    )


def _feature(index: int, facts: Facts) -> float:
    if facts.features is not None:
        return float(facts.features[index])
    if facts.cold is None:
        facts.cold = Memory().advance(event_of(facts.row))
    return facts.cold[index]


def _local(facts: Facts) -> Any:
    return facts.row.occurred_at.astimezone(ZoneInfo(settings.TIME_ZONE))


def _count_10min(facts: Facts) -> int:
    at = facts.row.occurred_at
    return 1 + sum(abs(at - other.occurred_at) <= BURST_WINDOW for other in facts.earlier)


def _other_country(facts: Facts) -> str:
    if not _present(facts.row):
        return ""
    elsewhere = {other.country for other in facts.earlier if _present(other)} - {facts.row.country}
    return min(elsewhere, default="")


def _present(row: Earlier | Transaction) -> bool:
    return row.entry_mode in PRESENT and row.channel in (Channel.POS, Channel.ATM)


FIELDS: dict[str, Field] = {
    "amount_minor": Field(
        Kind.NUMBER,
        f"amount in minor units of {REPORTING_CURRENCY}",
        lambda facts: facts.row.amount_reporting_minor,
        "reporting",
    ),
    "original_amount_minor": Field(
        Kind.NUMBER,
        "amount as sent, in minor units of its currency",
        lambda facts: facts.row.amount_minor,
        "original",
    ),
    **dict([
        _text("currency", "currency as sent, ISO 4217"),
        _text("type", "authorization or advice"),
        _text("mcc", "merchant category code, four digits"),
        _text("merchant_id", "merchant"),
        _text("terminal_id", "terminal"),
        _text("country", "country of the terminal, ISO 3166"),
        _text("channel", "pos, ecom, moto, atm or unknown"),
        _text("entry_mode", "chip, contactless, magstripe, manual, ecommerce, on_file or unknown"),
        _text("device_id", "device"),
        _text("ip", "IP address"),
        _text("scheme", "card scheme"),
        _text("bin", "first six to eight digits of the card number"),
        _text("issuer_country", "country of the issuer"),
        _text("funding", "credit, debit or prepaid, as sent"),
        _text("auth_response", "the issuer's response code"),
        _text("avs_result", "result of the address check"),
        _text("cvv_result", "result of the security code's check"),
        _text("sca_exemption", "exemption from strong authentication"),
        _text("initiator", "CIT or MIT"),
        _three_ds("version", "3-D Secure version"),
        _three_ds("trans_status", "3-D Secure status"),
        _three_ds("eci", "3-D Secure ECI"),
    ]),
    "three_ds_liability_shift": Field(
        Kind.TRUTH,
        "whether 3-D Secure moved the liability",
        lambda facts: bool((facts.row.three_ds or {}).get("liability_shift")),
    ),
    "source": Field(Kind.TEXT, "who sent it: the source's slug", lambda facts: facts.row.source.slug),
    "sent_before": Field(
        Kind.TRUTH,
        "whether the same payment came before under another id",
        lambda facts: facts.row.duplicate_of_id is not None,
    ),
    "hour": Field(Kind.NUMBER, "hour of the business day, 0 to 23", lambda facts: _local(facts).hour),
    "weekday": Field(
        Kind.NUMBER, "day of the business week, 1 is Monday", lambda facts: _local(facts).isoweekday()
    ),
    "card_present": Field(
        Kind.TRUTH, "read by chip, contactless or stripe in a store or cash machine",
        lambda facts: _present(facts.row),
    ),
    "card_count_10min": Field(
        Kind.NUMBER, "this card's transactions within ten minutes, this one included", _count_10min
    ),
    "other_country_1h": Field(
        Kind.TEXT, "another country where this card was present within an hour of being here", _other_country
    ),
    "has_state": Field(
        Kind.TRUTH, "whether the card's history was read", lambda facts: facts.features is not None
    ),
    **{
        name: Field(Kind.NUMBER, MEANINGS[name], partial(_feature, index))
        for index, name in enumerate(FEATURE_NAMES)
    },
}  # fmt: skip
KINDS = {name: field.kind for name, field in FIELDS.items()}
OF_STATE = frozenset({"has_state", *FEATURE_NAMES})
