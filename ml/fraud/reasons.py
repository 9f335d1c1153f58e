"""A score's reasons in an analyst's words. Weights are TreeSHAP contributions in log-odds and add up."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ml.fraud.contracts import NETWORK, Reason, Vector
from ml.fraud.features import FEATURE_NAMES, windows_of

Contributions = npt.NDArray[np.float32]
Values = dict[str, float]
TOP = 5


def _amount(values: Values) -> str:
    if not values["card_history"]:
        return f"Amount is {math.expm1(values['amount_log']):,.2f}; this card has no usual one yet"
    times = math.exp(values["amount_over_usual"])
    return (
        f"Amount is {times:.1f} times this card's usual"
        if times >= 1
        else "Amount is below this card's usual"
    )


def _amount_here(values: Values) -> str:
    if not values["terminal_history"]:
        return "First transaction seen of this terminal"
    return f"Amount is {math.exp(values['amount_over_terminal']):.1f} times this terminal's usual"


def _counted(count: float, one: str, more: str, suffix: str) -> str:
    """As in: No fraud known, 1 fraud known, 3 frauds known."""
    number = round(count)
    return f"{number or 'No'} {more if number > 1 else one} {suffix}"


def _cards_at(payments: float, cards: float, where: str) -> str:
    """The number of cards is an estimate, exact for a few."""
    if not payments:
        return f"No other transaction {where} in 24 hours"
    before = _counted(payments, "transaction", "transactions", f"{where} in the 24 hours before")
    return f"{before}, of about {_counted(cards, 'card', 'cards', '').strip().lower()}"


def _known_frauds(count: float, of: str) -> str:
    return _counted(count, "fraud", "frauds", f"known of this {of} in the last 30 days")


def _speed(values: Values) -> str:
    if values["since_last_log"] < 0:
        return "No earlier place of this card is known"
    kmh, km = math.expm1(values["speed_log"]), math.expm1(values["distance_log"])
    return f"{km:,.0f} km from its last place, {kmh:,.0f} km/h" if km > 50 else "Near its last place"


def _gap(values: Values) -> str:
    if values["since_last_log"] < 0:
        return "First transaction seen of this card"
    seconds = math.expm1(values["since_last_log"])
    if seconds < 120:
        return f"{seconds:.0f} s after the card's last transaction"
    return (
        f"{seconds / 60:.0f} min after its last"
        if seconds < 7200
        else f"{seconds / 3600:.0f} h after its last"
    )


def _place(values: Values) -> str:
    new = [w for w in ("terminal", "merchant", "device") if values[f"new_{w}"]]
    return f"First time at this {' and '.join(new)}" if new else "Terminal and merchant this card knows"


def _country(values: Values) -> str:
    if values["new_country"]:
        return "First time in this country"
    return "Another country than last time" if values["country_changed"] else "Same country as last time"


def _entry(values: Values) -> str:
    return "Other entry mode than last time" if values["entry_changed"] else "Usual entry mode"


Group = tuple[str, tuple[str, ...], str, Callable[[Values], str]]
GROUPS: tuple[Group, ...] = (
    (
        "amount",
        (
            "amount_log",
            "amount_z",
            "amount_over_usual",
            "amount_deviation",
            "amount_over_max",
            "amount_over_mean_30d",
        ),
        "amount_over_usual",
        _amount,
    ),
    (
        "velocity",
        windows_of("card", "count"),
        "card_count_1h",
        lambda v: _counted(
            v["card_count_1h"] + 1, "transaction", "transactions", "of this card in this hour and the last"
        ),
    ),
    (
        "spend",
        windows_of("card", "sum", "mean"),
        "card_sum_24h",
        lambda v: f"{math.expm1(v['card_sum_24h']):,.2f} spent within the 24 hours before",
    ),
    (
        "unusual_amounts",
        (
            "card_unusual_24h",
            "card_unusual_7d",
            "card_unusual_14d",
            "since_unusual_days",
            "card_surprise",
            *windows_of("card", "max"),
        ),
        "card_unusual_14d",
        lambda v: _counted(
            v["card_unusual_14d"], "amount", "amounts", "far above this card's usual in 14 days"
        ),
    ),
    (
        "card_testing",
        ("card_small_1h",),
        "card_small_1h",
        lambda v: _counted(v["card_small_1h"], "tiny amount", "tiny amounts", "in this hour and the last"),
    ),
    ("pause", ("since_last_log",), "since_last_log", _gap),
    ("travel", ("distance_log", "speed_log"), "speed_log", _speed),
    (
        "country",
        ("country_changed", "new_country"),
        "country_changed",
        _country,
    ),
    (
        "new_place",
        ("new_terminal", "new_merchant", "new_device", *windows_of("card", "distinct")),
        "new_terminal",
        _place,
    ),
    (
        "entry",
        ("entry_changed", "entry_magstripe", "entry_manual", "entry_online"),
        "entry_changed",
        _entry,
    ),
    (
        "terminal",
        (*windows_of("terminal"), "terminal_history", "amount_over_terminal"),
        "amount_over_terminal",
        _amount_here,
    ),
    (
        "merchant",
        windows_of("merchant"),
        "merchant_distinct_24h",
        lambda v: _cards_at(v["merchant_count_24h"], v["merchant_distinct_24h"], "at this merchant"),
    ),
    (
        "device",
        windows_of("device"),
        "device_distinct_24h",
        lambda v: _cards_at(v["device_count_24h"], v["device_distinct_24h"], "on this device"),
    ),
    (
        "terminal_frauds",
        (
            "terminal_bad_14d",
            "terminal_bad_30d",
            "terminal_plain_30d",
            "terminal_risk_14d",
            "terminal_risk_30d",
            "terminal_run",
            "terminal_run_lone",
            "terminal_run_least",
            "terminal_run_days",
            "terminal_run_days_most",
            "terminal_since_bad_days",
            "terminal_good_since_bad",
        ),
        "terminal_bad_30d",
        lambda v: _known_frauds(v["terminal_bad_30d"], "terminal"),
    ),
    (
        "card_frauds",
        ("card_bad_30d", "card_since_bad_days"),
        "card_bad_30d",
        lambda v: _known_frauds(v["card_bad_30d"], "card"),
    ),
    (
        "time",
        ("hour_sin", "hour_cos", "night", "weekend"),
        "night",
        lambda v: "At night" if v["night"] else "Time of day and week",
    ),
    (
        "history",
        ("card_history",),
        "card_history",
        lambda v: _counted(
            math.expm1(v["card_history"]), "earlier transaction", "earlier transactions", "of this card"
        ),
    ),
    (
        NETWORK,
        ("gru_logit",),
        "gru_logit",
        lambda v: (
            "The order of this card's transactions is unusual"
            if v["gru_logit"] > v["gru_logit_usual"]
            else "The order of this card's transactions is usual"
        ),
    ),
)


NAMES = (*FEATURE_NAMES, "gru_logit")
# (features and logit, groups): ones where a feature belongs to a group.
_BELONGS = np.array([[name in members for _, members, _, _ in GROUPS] for name in NAMES], np.float32)


def reasons_for(vector: Vector, contributions: Vector, usual: Vector) -> tuple[Reason, ...]:
    """The strongest groups first, then what is left over, so that all weights add up to the margin.

    vector, usual (n,) and contributions (n + 1,), whose last entry is the trees' bias: float32, in the
    order of NAMES.
    """
    values: Values = dict(zip(NAMES, vector.tolist(), strict=True))
    baseline: Values = dict(zip(NAMES, usual.tolist(), strict=True))
    values["gru_logit_usual"] = baseline["gru_logit"]
    weights = (contributions[:-1] @ _BELONGS).astype(float)
    order = np.argsort(-np.abs(weights), kind="stable")
    told = []
    for group in order[:TOP]:
        code, _, main, say = GROUPS[group]
        told.append(
            Reason(code, say(values), round(values[main], 4), round(baseline[main], 4), float(weights[group]))
        )
    rest = float(weights[order[TOP:]].sum()) + float(contributions[-1])
    return (*told, Reason("other", "Everything else, and the usual rate of fraud", None, None, rest))
