"""What the schemes' codes say: of chargebacks by reason code, of fraud reports (TC40, SAFE) by fraud type.

Only a fraud reason code makes a fraud label. docs/labels.md says what the codes are called and where they
come from; the code as it came is kept with the label or notice.
"""

from __future__ import annotations

from apps.fraud.models import FraudType, LabelSource, NoticeKind
from apps.fraud.wire.schemas import LabelIn

Meaning = FraudType | NoticeKind

_COUNTERFEIT, _CNP, _OTHER = FraudType.COUNTERFEIT, FraudType.CARD_NOT_PRESENT, FraudType.OTHER
_MERCHANT, _TAKEOVER = FraudType.MERCHANT_MISREPRESENTATION, FraudType.ACCOUNT_TAKEOVER
_AUTHORIZATION, _PROCESSING = NoticeKind.AUTHORIZATION, NoticeKind.PROCESSING
_DISPUTE, _PROGRAM = NoticeKind.DISPUTE, NoticeKind.PROGRAM


def _table(*rows: tuple[Meaning, str]) -> dict[str, Meaning]:
    return {code: meaning for meaning, codes in rows for code in codes.split()}


# "Other" where a code says fraud and leaves open which.
CHARGEBACKS: dict[str, dict[str, Meaning]] = {
    "visa": _table(
        (_COUNTERFEIT, "10.1"),
        (_OTHER, "10.2 10.3 10.5"),
        (_CNP, "10.4"),
        (_AUTHORIZATION, "11.1 11.2 11.3"),
        (_PROCESSING, "12.1 12.2 12.3 12.4 12.5 12.6 12.6.1 12.6.2 12.7"),
        (_DISPUTE, "13.1 13.2 13.3 13.4 13.5 13.6 13.7 13.8 13.9"),
    ),
    "mastercard": _table(
        (_OTHER, "4837 4840 4863 4871"),
        (_MERCHANT, "4849"),
        (_COUNTERFEIT, "4870"),
        (_AUTHORIZATION, "4807 4808 4812"),
        (_PROCESSING, "4831 4834 4842 4846"),
        (_DISPUTE, "4841 4853 4854 4855 4859 4860"),
    ),
    "amex": _table(
        (_OTHER, "F10 F14 F24 F31 FR2"),
        (_CNP, "F29"),
        (_COUNTERFEIT, "F30"),
        (_AUTHORIZATION, "A01 A02 A08"),
        (_PROCESSING, "P01 P03 P04 P05 P07 P08 P22 P23"),
        (_DISPUTE, "C02 C04 C05 C08 C14 C18 C28 C31 C32 M10 M49"),
        (_PROGRAM, "FR4 FR6 M01 R03 R13"),
    ),
    "discover": _table(
        (_OTHER, "UA01 UA06 UA11"),
        (_CNP, "UA02"),
        (_COUNTERFEIT, "UA05"),
        (_AUTHORIZATION, "AT DA EX NA"),
        (_PROCESSING, "AW CD DP IN LP PM"),
        # AA says that the cardholder does not know the payment, which is not that nobody of theirs made it.
        (_DISPUTE, "AA AP NC NF RG RM RN2 CR 05"),
        (_PROGRAM, "UA10"),
    ),
}
TC40: dict[str, FraudType] = {
    "0": FraudType.LOST, "1": FraudType.STOLEN, "2": FraudType.NOT_RECEIVED, "3": FraudType.FALSE_APPLICATION,
    "4": _COUNTERFEIT, "5": _OTHER, "6": _CNP, "9": _COUNTERFEIT, "A": _OTHER, "B": _TAKEOVER, "C": _MERCHANT,
    "D": FraudType.PAYER_MANIPULATION,
}  # fmt: skip
SAFE: dict[str, FraudType] = {
    "00": FraudType.LOST, "01": FraudType.STOLEN, "02": FraudType.NOT_RECEIVED,
    "03": FraudType.FALSE_APPLICATION, "04": _COUNTERFEIT, "05": _TAKEOVER, "06": _CNP, "07": _OTHER,
    "51": _MERCHANT, "54": FraudType.FIRST_PARTY, "55": _OTHER, "56": FraudType.PAYER_MANIPULATION,
}  # fmt: skip
SCHEMES = {"master": "mastercard", "mc": "mastercard", "american_express": "amex", "diners": "discover"}


# No two schemes share a code, so that one that comes without its scheme is understood.
_ANY = {code: meaning for table in CHARGEBACKS.values() for code, meaning in table.items()}


def meaning_of(label: LabelIn) -> str | NoticeKind:
    """The type of the label this is ("" where there is none), or why it is none.

    A type that was sent goes before one that the code maps to. A chargeback is fraud by its code alone; one
    that was not upheld says nothing of the payment, however it is put.
    """
    meant = _by_code(label)
    if LabelSource(label.source) == LabelSource.CHARGEBACK and not label.fraud:
        return NoticeKind.NOT_UPHELD
    if isinstance(meant, NoticeKind):
        return meant
    return label.type or (meant or "" if label.fraud else "")


def _by_code(label: LabelIn) -> Meaning | None:
    code, source = (label.raw_code or "").upper(), LabelSource(label.source)
    if source == LabelSource.TC40:
        return TC40.get(code)
    if source == LabelSource.SAFE:
        return SAFE.get(code.zfill(2))
    if source != LabelSource.CHARGEBACK:
        return None
    scheme = (label.scheme or "").lower()
    return CHARGEBACKS.get(SCHEMES.get(scheme, scheme), _ANY).get(code, NoticeKind.UNMAPPED)
