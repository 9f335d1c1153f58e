"""Keep card numbers and security codes out: an event that holds one is refused before anything reads it.

A card number is 13 to 19 digits, grouped or not, in an issuer's range with that range's length, and
valid after Luhn (ISO/IEC 7812-1, annex B). What is found is named by its place, never by its value.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Any

CARD_NUMBER = "card_number"
TOO_LONG = "too_long"
SECURITY_CODE = "security_code"
REFERENCES = frozenset({
    "event_id", "original_event_id", "network_reference", "merchant_id", "terminal_id", "device_id",
})  # fmt: skip
_SEPARATOR = r"[\s._\-\u00ad\u2010-\u2015\u2212]"
_RUN = re.compile(rf"\d(?:{_SEPARATOR}{{0,3}}\d){{12,}}")
_GROUP = re.compile(r"\d+")
# Names of things in hexadecimal, not numbers: a UUID, a digest, a random token.
_HEX_NAME = re.compile(
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?=[0-9]{0,40}[a-f])[0-9a-f]{24,}", re.IGNORECASE
)
# (first, last) of an issuer's leading digits, and the lengths it issues.
_LONG = range(16, 20)
_ISSUERS = [
    ("4", "4", (13, 16, 19)),  # Visa
    ("2221", "2720", (16,)), ("51", "55", (16,)),  # Mastercard
    ("34", "34", (15,)), ("37", "37", (15,)),  # American Express
    ("300", "305", range(14, 20)), ("3095", "3095", range(14, 20)),  # Diners Club
    ("36", "36", range(14, 20)), ("38", "39", range(14, 20)),
    ("6011", "6011", _LONG), ("644", "649", _LONG), ("65", "65", _LONG),  # Discover
    ("62", "62", _LONG), ("8100", "8171", _LONG),  # UnionPay
    ("3528", "3589", _LONG),  # JCB
    ("2200", "2204", _LONG),  # Mir
    ("5018", "5020", range(13, 20)), ("5038", "5038", range(13, 20)), ("5893", "5893", range(13, 20)),
    ("6304", "6304", range(13, 20)), ("6759", "6763", range(13, 20)),  # Maestro
    ("60", "60", (16,)), ("508", "508", (16,)), ("82", "82", (16,)),  # RuPay
    ("506099", "506198", (16, 18, 19)),  # Verve
    ("636", "639", _LONG), ("9792", "9792", (16,)),  # InterPayment, InstaPayment, Troy
]  # fmt: skip
# By the first two digits, so that most are told by one look.
_BY_TWO = {
    two: [one for one in _ISSUERS if one[0][:2].ljust(2, "0") <= two <= one[1][:2].ljust(2, "9")]
    for two in (f"{n:02d}" for n in range(100))
}
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
# By what a key is called once case, blanks and punctuation are gone. What is also matched inside a
# longer name ("cardCvv2", "CVC-Code") must be no part of an ordinary word.
_CODE_NAMES = frozenset({
    "cid", "csc", "cav", "cav2", "cvd", "cve", "cvn", "cvn2", "cvp2", "pin", "pinblock", "track", "track1",
    "track2", "trackdata", "magstripedata",
})  # fmt: skip
_CODE_PARTS = (
    "cvv", "cvc", "securitycode", "verificationvalue", "verificationcode", "verificationnumber",
    "cardverification", "cryptovalue", "cardcode",
)  # fmt: skip
_CODE_IN_TEXT = re.compile(r"\b(?:cvv2?|cvc2?|cav2|csc|security code)\W{0,3}\d{3,4}\b", re.IGNORECASE)
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")
_VISA_ID = re.compile(r"[0-9]{15}")
_DEPTH_MAX = 20
_TEXT_MAX = 1024  # no field takes more than 128


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a source declared of its own numbers: then they are not taken for card numbers."""

    luhn_valid_tokens: bool = False
    numeric_references: bool = False


def forbidden(event: dict[str, Any], allowed: Allowed) -> list[tuple[str, str]]:
    """(field, code) of everything in the event that must not be here, or is too long to be looked at."""
    found = list(dict.fromkeys(_walk(event, "", 0)))
    return [(field, code) for field, code in found if not _declared(field, code, event, allowed)]


def holds_card_number(text: str) -> bool:
    if len(text) < 13:
        return False
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    text = _HEX_NAME.sub("x", text)
    return any(_run_holds(match[0]) for match in _RUN.finditer(text))


@lru_cache(maxsize=4096)
def safe_name(name: str) -> str:
    """A field's name as an answer may repeat it: a plain name without a long number in it."""
    plain = _PLAIN_NAME.fullmatch(name) and not holds_card_number(name)
    return name if plain else "?"


def _run_holds(run: str) -> bool:
    """Whether some neighbouring groups of digits make a card number. One group is never cut.

    In time linear in the run, whatever it holds: Luhn's sum of any part comes from two running sums.
    """
    groups = _GROUP.findall(run)
    values = [int(digit) for digit in "".join(groups)]  # also of other scripts
    digits = "".join(map(str, values))
    edges = list(accumulate(map(len, groups), initial=0))
    among, sums = set(edges), _luhn_sums(values)
    for start in edges:
        for length in _issued_lengths(digits[start : start + 6]):
            end = start + length
            if end in among and (sums[end % 2][end] - sums[end % 2][start]) % 10 == 0:
                return True
    return False


def _issued_lengths(digits: str) -> Iterator[int]:
    """How long a number is that begins so, after the ranges of the issuers."""
    for first, last, lengths in _BY_TWO.get(digits[:2], ()):
        if first <= digits[: len(first)] <= last:
            yield from lengths


def _luhn_sums(values: list[int]) -> tuple[list[int], list[int]]:
    """Running sums with even places doubled, for parts that end before an even place, and with odd ones."""
    even, odd = (
        list(accumulate((_DOUBLED[v] if i % 2 == doubled else v for i, v in enumerate(values)), initial=0))
        for doubled in (0, 1)
    )
    return even, odd


def _walk(value: Any, field: str, depth: int) -> Iterator[tuple[str, str]]:
    if depth > _DEPTH_MAX:
        return  # deeper than any event: the schema refuses it
    if isinstance(value, dict):
        for key, inner in value.items():
            place = f"{field}.{safe_name(key)}".removeprefix(".")
            yield from _key(key, inner, place)
            yield from _walk(inner, place, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _walk(inner, field, depth + 1)
    elif (text := _text(value)) is not None:
        if len(text) > _TEXT_MAX:
            yield field, TOO_LONG
            return
        if holds_card_number(text):
            yield field, CARD_NUMBER
        if _CODE_IN_TEXT.search(text) or (field == "cvv_result" and text.isdigit() and len(text) in (3, 4)):
            yield field, SECURITY_CODE


def _key(key: str, inner: Any, place: str) -> Iterator[tuple[str, str]]:
    if len(key) > _TEXT_MAX:
        yield place, TOO_LONG
        return
    if holds_card_number(key):
        yield place, CARD_NUMBER
    if key != "cvv_result" and inner not in (None, "") and _names_a_code(key):
        yield place, SECURITY_CODE


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e19 else None
    return str(value) if abs(value) < 10**19 else None


@lru_cache(maxsize=4096)  # the same few names come with every event; none is longer than _TEXT_MAX
def _names_a_code(key: str) -> bool:
    plain = "".join(c for c in unicodedata.normalize("NFKC", key).lower() if c.isalnum())
    if plain in _CODE_NAMES:
        return True
    return not plain.endswith("result") and any(part in plain for part in _CODE_PARTS)


def _declared(field: str, code: str, event: dict[str, Any], allowed: Allowed) -> bool:
    if code != CARD_NUMBER:
        return False
    if field == "card_token":
        return allowed.luhn_valid_tokens
    if field in REFERENCES and allowed.numeric_references:
        return True
    # Visa's transaction identifier has 15 digits, as many as an American Express number.
    given, scheme = event.get(field), event.get("scheme")
    visa = isinstance(scheme, str) and scheme.lower() == "visa"
    return (
        field == "network_reference" and visa and isinstance(given, str) and bool(_VISA_ID.fullmatch(given))
    )
