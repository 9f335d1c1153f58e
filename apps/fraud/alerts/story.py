"""What happened, in one sentence: what is out of the ordinary about a payment, the loudest first.

Told from the card's events and from what is known of its card and terminal by now, so that it is there
whoever decided and however long ago. The reasons beside it say what the model made of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import timedelta
from statistics import median
from typing import Any

import numpy as np

from apps.fraud.alerts.card_events import CardEvents, long, within
from apps.fraud.alerts.issuer import answers_of
from apps.fraud.alerts.linked import Linked
from apps.fraud.common.money import REPORTING_CURRENCY, format_minor
from apps.fraud.models import Decision, Evidence, Mode, Transaction
from ml.fraud.features import FEATURE_NAMES, N_FEATURES

BURST, PAIR, WEEK = timedelta(hours=1), timedelta(minutes=10), timedelta(days=7)
MUCH, LITTLE = 1.5, 3  # times the usual that are worth a word; payments from which there is a usual
SAID_MAX = 5
ORDINALS = ("", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


def story_of(made: Decision, events: CardEvents, linked: Mapping[str, Linked], rules: list[Any]) -> str:
    """Always a sentence; `rules`: the reasons of the rules that fired, live ones alone."""
    clauses = [*_by_rule(rules), *_clauses(made, events, linked)][:SAID_MAX]
    if not clauses:
        clauses = ["nothing of what is looked at here stands out"]
        if made.main_reason:
            clauses.append(f"what spoke most for a look: {_small(made.main_reason)}")
    told = "; ".join(clauses)
    return told[:1].upper() + told[1:] + "."


def _clauses(made: Decision, events: CardEvents, linked: Mapping[str, Linked]) -> Iterator[str]:
    yield from _amount(made, events)
    yield from _burst(events)
    yield from _travel(events)
    yield from _frauds(linked)
    yield from _novelty(events)
    for answer in answers_of(events.paid):
        if answer.tone == "critical":
            yield f"{_small(answer.name)}: {answer.says}"


def _by_rule(rules: list[Any]) -> Iterator[str]:
    for rule in rules[:1]:
        yield _small(str(rule["text"]).rstrip("."))


def _amount(made: Decision, events: CardEvents) -> Iterator[str]:
    if not events.payments_before:
        yield "first payment seen of this card"
        return
    usual = usual_minor(made, events)
    if usual is None:
        return
    # As the model's own reason: both sides plus one, so that a usual of nothing divides nothing.
    times = (100 + events.paid.amount_reporting_minor) / (100 + usual)
    if times >= MUCH:
        many = f"{times:.0f}" if times >= 9.5 else f"{times:.1f}"
        yield f"{many}x this card's usual ({format_minor(usual, REPORTING_CURRENCY)})"


def usual_minor(made: Decision, events: CardEvents) -> int | None:
    """The card's typical amount in the reporting currency: the one the model was told where that is kept,
    else the median of its payments here; None while it has none."""
    if (of_model := _told_model(made)) is not None:
        return of_model
    amounts = [row.amount_reporting_minor for row in events.payments_before]
    return round(median(amounts)) if len(amounts) >= LITTLE else None


def _told_model(made: Decision) -> int | None:
    try:
        raw = bytes(made.evidence.features) if made.mode == Mode.FULL else b""
    except Evidence.DoesNotExist:
        return None
    if len(raw) != 4 * (N_FEATURES + 1):
        return None
    values = dict(zip(FEATURE_NAMES, np.frombuffer(raw, "<f4").tolist(), strict=False))
    if not values["card_history"]:
        return None
    return round(100 * math.expm1(values["amount_log"] - values["amount_over_usual"]))


def _burst(events: CardEvents) -> Iterator[str]:
    paid = events.paid
    near = within(events.payments_before, paid.occurred_at, BURST)
    took = paid.occurred_at - near[0].occurred_at if near else timedelta(0)
    if len(near) > 1 or (near and took <= PAIR):
        number = len(near) + 1
        nth = ORDINALS[number] if number < len(ORDINALS) else f"{number}th"
        yield f"{nth} payment in {long(took)}{_device(events, ' from a new device')}"
    elif new := _device(events, "from a new device"):
        yield new


def _device(events: CardEvents, said: str) -> str:
    """`said` where the card paid from devices before and never from this one."""
    known = {row.device_id for row in events.payments_before} - {""}
    return said if known and events.paid.device_id and events.paid.device_id not in known else ""


def _travel(events: CardEvents) -> Iterator[str]:
    move = events.moves().get(events.paid.pk)
    if move is not None and move.impossible:
        yield f"{move.km:,.0f} km from its last place {long(move.took)} before, which nobody travels"


def _novelty(events: CardEvents) -> Iterator[str]:
    paid, before = events.paid, events.payments_before
    if before and paid.country not in {row.country for row in before}:
        yield f"first time in {paid.country}"
    elif before and _never(paid, before, "merchant_id"):
        yield "first time at this merchant"


def _never(paid: Transaction, before: list[Transaction], field: str) -> bool:
    return getattr(paid, field) not in {getattr(row, field) for row in before}


def _frauds(linked: Mapping[str, Linked]) -> Iterator[str]:
    found = [linked[kind] for kind in ("card", "terminal", "device") if kind in linked]
    at = {one.kind: one.last_fraud_at for one in found if one.last_fraud_at}
    since = found[0].before - WEEK if found else None
    lately = [kind for kind, last in at.items() if since and last >= since]
    if lately:
        yield f"{' and '.join(lately)} had fraud last week"
    if earlier := [kind for kind in at if kind not in lately]:
        yield f"{' and '.join(earlier)} had fraud in the last 30 days"


def _small(text: str) -> str:
    """As a clause: an acronym or a code keeps its capitals."""
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]
