"""What the issuer answered, in words: response code, address and security code, 3-D Secure, exemption.

Codes as ISO 8583 (element 39), the card networks' AVS and CVV2 tables, EMV 3-D Secure 2.x and PSD2 RTS have
them. A code that is in none of these is shown as it came and said to be unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apps.fraud.models import Transaction

APPROVED = {
    "00": "approved", "08": "approved with identification", "10": "approved for a part of the amount",
    "11": "approved (VIP)", "85": "no reason to decline", "approved": "approved",
}  # fmt: skip
DECLINED = {
    "01": "refer to the issuer", "02": "refer to the issuer", "03": "invalid merchant",
    "04": "pick the card up", "05": "do not honour", "06": "error", "07": "pick the card up: fraud",
    "12": "invalid transaction", "13": "invalid amount", "14": "no such card number",
    "15": "no such issuer", "1A": "strong authentication required", "30": "format error",
    "39": "no credit account", "41": "lost card", "43": "stolen card", "46": "account closed",
    "51": "insufficient funds", "52": "no current account", "53": "no savings account",
    "54": "expired card", "55": "wrong PIN", "57": "not permitted to this cardholder",
    "58": "not permitted to this terminal", "59": "suspected fraud", "61": "above the amount limit",
    "62": "restricted card", "63": "security violation", "65": "above the number of payments allowed",
    "70": "PIN required", "75": "too many wrong PINs", "78": "card not active yet", "79": "lifecycle",
    "82": "security code wrong", "83": "fraud or security", "91": "issuer not reachable",
    "93": "against the law", "94": "sent twice", "96": "system error", "97": "security code wrong",
    "N7": "security code wrong", "R0": "stop payment order", "R1": "authorisation revoked",
    "R3": "all authorisations revoked", "declined": "declined",
}  # fmt: skip
AVS = {
    "Y": "street and postal code match", "X": "street and postal code match",
    "D": "street and postal code match", "M": "street and postal code match",
    "F": "street and postal code match", "A": "street matches, postal code does not",
    "B": "street matches, postal code was not checked", "Z": "postal code matches, street does not",
    "W": "postal code matches, street does not", "P": "postal code matches, street was not checked",
    "N": "neither street nor postal code matches", "C": "not checked: formats differ",
    "G": "not checked: the issuer does not take part", "I": "not checked", "E": "not checked: an error",
    "R": "not checked: try again", "S": "not checked: the issuer does not support it",
    "U": "not checked: no address known",
}  # fmt: skip
CVV = {
    "M": "matches", "N": "does not match", "P": "not checked",
    "S": "not sent, though the card has one", "U": "not checked: the issuer cannot", "X": "no answer",
}  # fmt: skip
STATUS_3DS = {
    "Y": "the cardholder was authenticated", "A": "tried: the issuer could not, and it counts as if it had",
    "N": "not authenticated", "U": "could not be done", "R": "the issuer refused",
    "C": "a challenge was asked for and not finished", "D": "a challenge outside the page was not finished",
    "I": "told to the issuer only, nobody was asked",
}  # fmt: skip
EXEMPTIONS = {
    "low_value": "low value", "tra": "low risk by transaction risk analysis",
    "transaction_risk_analysis": "low risk by transaction risk analysis",
    "trusted_beneficiary": "the cardholder trusts this merchant", "recurring": "recurring payment",
    "secure_corporate": "secure corporate payment", "corporate": "secure corporate payment",
    "delegated": "authentication left to the merchant", "mit": "started by the merchant, out of scope",
    "moto": "mail or telephone order, out of scope", "one_leg_out": "issuer or acquirer abroad, out of scope",
}  # fmt: skip
WRONG = frozenset("N")


@dataclass(frozen=True, slots=True)
class Answer:
    """What was asked, what was answered; `tone` critical where it speaks for fraud, good where against."""

    name: str
    says: str
    code: str = ""
    tone: str = ""


def answers_of(paid: Transaction) -> list[Answer]:
    """Each thing the issuer said. Empty where the source sent none of it."""
    three_ds: Mapping[str, Any] = paid.three_ds or {}
    found = [_response(paid.auth_response), _check("Address (AVS)", AVS, paid.avs_result)]
    found += [_check("Security code (CVV)", CVV, paid.cvv_result), _three_ds(three_ds)]
    found += [_shift(three_ds.get("liability_shift")), _exemption(paid.sca_exemption)]
    return [one for one in found if one is not None]


def issuer_declined(code: str) -> bool | None:
    """None where there is no answer, or one that is not known."""
    key = _key(code)
    return False if key in APPROVED else True if key in DECLINED else None


def _key(code: str) -> str:
    """Words in small letters, codes in capitals."""
    return code.lower() if len(code) > 2 else code.upper()


def _said(table: Mapping[str, str], code: str) -> str:
    return table.get(_key(code), "a code we do not know")


def _response(code: str) -> Answer | None:
    if not code:
        return None
    declined = issuer_declined(code)
    says = _said(APPROVED | DECLINED, code)
    if declined and says != "declined":
        says = f"declined: {says}"
    return Answer("Response", says, code, "critical" if declined else "good" if declined is False else "")


def _check(name: str, table: Mapping[str, str], code: str) -> Answer | None:
    if not code:
        return None
    says = _said(table, code)
    tone = (
        "critical"
        if _key(code) in WRONG
        else "good"
        if says.endswith("code match") or says == "matches"
        else ""
    )
    return Answer(name, says, code, tone)


def _three_ds(sent: Mapping[str, Any]) -> Answer | None:
    status, eci = str(sent.get("trans_status") or ""), str(sent.get("eci") or "")
    if not status and not eci:
        return None
    says = _said(STATUS_3DS, status) if status else "outcome not sent"
    tone = "good" if status == "Y" else "critical" if status in ("N", "R") else ""
    return Answer("3-D Secure", says, " ".join(filter(None, (status, f"ECI {eci}" if eci else ""))), tone)


def _shift(moved: bool | None) -> Answer | None:
    if moved is None:
        return None
    return Answer("Liability", "moved to the issuer" if moved else "stays with the merchant")


def _exemption(code: str) -> Answer | None:
    if not code:
        return None
    return Answer("Exemption from SCA", EXEMPTIONS.get(code.lower(), "one we do not know"), code)
