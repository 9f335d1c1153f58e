"""Why a payment was declined, for the customer: in words, without figures, thresholds, rules or features.

It says what kind of thing stood out, so that a person can answer it, and not how much would have passed.
"""

from __future__ import annotations

from apps.fraud.common.listed import BLOCK_LIST
from apps.fraud.models import Decision, Outcome

PLAIN_MAX = 2
BLOCKED = "The card, or where or how it was used, is stopped for the moment."
BY_RULE = "The payment met one of the fixed rules that protect cards from misuse."
UNUSUAL = "The payment did not look like the card's usual payments."
# By how a feature's name begins, the longest that fits.
KINDS = {
    "amount": "The amount was unusual for this card.",
    "card_": "There were more or larger payments than usual within a short time.",
    "since_": "The payment came unusually soon after others.",
    "new_": "The card was used in a new way: another shop, device or country.",
    "country": "The card was used in a new way: another shop, device or country.",
    "distance": "The place was unusual for this card.",
    "speed": "The place was unusual for this card.",
    "hour": "The time was unusual for this card.",
    "night": "The time was unusual for this card.",
    "weekend": "The time was unusual for this card.",
    "entry": "The card was read in an unusual way.",
    "terminal": "Extra caution applies where the card was used.",
    "merchant": "Extra caution applies where the card was used.",
    "device": "Extra caution applies to the device that was used.",
    "card_bad": "The card was misused not long ago.",
    "card_since_bad": "The card was misused not long ago.",
}
_LONGEST_FIRST = sorted(KINDS, key=len, reverse=True)


def plain_reasons(made: Decision) -> list[str]:
    """At most PLAIN_MAX sentences, what weighed most first."""
    said: list[str] = []
    for reason in made.reasons:
        if reason.get("shadow"):
            continue
        if reason["weight"] is None:
            if reason.get("action") != Outcome.APPROVE:
                said.append(BLOCKED if reason["code"] == BLOCK_LIST else BY_RULE)
        elif reason["weight"] > 0:
            said.append(_of_model(reason["code"]))
    return list(dict.fromkeys(said))[:PLAIN_MAX] or [UNUSUAL]


def _of_model(code: str) -> str:
    return next((KINDS[start] for start in _LONGEST_FIRST if code.startswith(start)), UNUSUAL)
