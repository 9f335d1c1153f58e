"""Whether the money has left, and who bears the loss if it was fraud. What cannot be told is said so.

The rules are the networks' common ones, cut down to what an event says: docs/alerts.md has their limits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apps.fraud.alerts.issuer import issuer_declined
from apps.fraud.common.money import format_minor
from apps.fraud.models import Action, Channel, EntryMode, EventType, Transaction

AUTHENTICATED = {"Y": {"", "05", "02", "5", "2"}, "A": {"", "06", "01", "6", "1"}}
REMOTE = frozenset({Channel.ECOM, Channel.MOTO})
READ_REMOTELY = frozenset({EntryMode.ECOMMERCE, EntryMode.ON_FILE})
BY_CHIP = frozenset({EntryMode.CHIP, EntryMode.CONTACTLESS})


@dataclass(frozen=True, slots=True)
class Said:
    """`short` is the answer, `why` what it rests on; `tone` of the design system."""

    short: str
    why: str
    tone: str = "neutral"


def money_left(paid: Transaction, action: str, back: Sequence[Transaction]) -> Said:
    """`action`: what the source shall do; `back`: what took the payment back, of whatever amount."""
    if came := _came_back(paid, back):
        return came
    if issuer_declined(paid.auth_response):
        return Said("No", "the issuer declined it", "good")
    if paid.type == EventType.ADVICE:
        return Said("Yes", "an advice tells of a payment that was made", "critical")
    if action == Action.DECLINE:
        return Said("No", "the source was told to decline it", "good")
    if action == Action.HOLD:
        return Said("Not yet", "the source holds it until a person has looked", "attention")
    if paid.channel == Channel.ATM:
        return Said("Yes", "cash that was approved is paid out at once", "critical")
    return Said(
        "On its way", "approved: it goes to the merchant at clearing, unless reversed before", "attention"
    )


def _came_back(paid: Transaction, back: Sequence[Transaction]) -> Said | None:
    if not back:
        return None
    if any(one.type == EventType.REVERSAL for one in back):
        return Said("No", "it was reversed", "good")
    same = [one for one in back if one.currency == paid.currency]
    total = sum(one.amount_minor for one in same)
    if len(same) == len(back) and total >= paid.amount_minor:
        return Said("Came back", "all of it was given back", "good")
    told = format_minor(total, paid.currency) if same else "a part in another currency"
    return Said("Partly", f"{told} of it was given back", "attention")


def bears_loss(paid: Transaction) -> Said:
    """Of the payment as it was made, were it fraud by a stranger."""
    if issuer_declined(paid.auth_response):
        return Said("Nobody", "the issuer declined it", "good")
    if paid.channel in REMOTE or paid.entry_mode in READ_REMOTELY:
        return _of_remote(paid)
    if paid.entry_mode in BY_CHIP:
        return Said("The issuer", "the card was present and read by its chip")
    if paid.entry_mode == EntryMode.MAGSTRIPE:
        return Said("Not known", "read by stripe: the side that could not read a chip, which was not sent")
    if paid.entry_mode == EntryMode.MANUAL and paid.channel in (Channel.POS, Channel.ATM):
        return Said("The merchant", "the number was keyed in, and no chip shows that the card was there")
    return Said("Not known", "how the card was read was not sent")


def _of_remote(paid: Transaction) -> Said:
    sent: Mapping[str, Any] = paid.three_ds or {}
    status, eci = str(sent.get("trans_status") or ""), str(sent.get("eci") or "")
    shifted = sent.get("liability_shift")
    if shifted:
        return Said("The issuer", "3-D Secure moved the liability")
    if shifted is None and eci in AUTHENTICATED.get(status, ()):
        return Said("The issuer", "3-D Secure succeeded; whether the liability moved was not sent")
    if paid.sca_exemption:
        return Said("The merchant", "the card was not present, and an exemption stood in for 3-D Secure")
    if shifted is False:
        return Said("The merchant", "the card was not present, and 3-D Secure did not move the liability")
    if status:
        return Said("The merchant", "the card was not present, and 3-D Secure did not succeed")
    return Said("The merchant", "the card was not present, and there was no 3-D Secure")
