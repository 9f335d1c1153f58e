"""Amounts in one reporting currency, so that a yen is not taken for a euro, and amounts as text."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal

from apps.fraud.common.iso import minor_digits

REPORTING_CURRENCY = "EUR"
RATE_STEP = Decimal("1e-12")  # as the table keeps them, so that a rate kept beside an amount gives it again
# Major units per euro, rounded to two or three digits on purpose: they put amounts on one scale
# for features and ranking, and are never used to pay anybody. A currency that is not listed is
# taken at par, after its own minor units.
PER_EURO = {
    code: Decimal(rate)
    for code, rate in {
        "AED": "4.1", "ARS": "1500", "AUD": "1.75", "BRL": "6.2", "CAD": "1.6", "CHF": "0.94",
        "CLP": "1080", "CNY": "8.2", "COP": "4500", "CZK": "24.5", "DKK": "7.46", "EGP": "55",
        "GBP": "0.86", "HKD": "9", "HUF": "395", "IDR": "19000", "ILS": "3.9", "INR": "100",
        "ISK": "142", "JPY": "172", "KRW": "1620", "KWD": "0.35", "MXN": "21.5", "MYR": "4.9",
        "NGN": "1750", "NOK": "11.7", "NZD": "1.97", "PHP": "67", "PLN": "4.26", "RON": "5.07",
        "RUB": "95", "SAR": "4.35", "SEK": "11.1", "SGD": "1.5", "THB": "38", "TRY": "48",
        "TWD": "35", "UAH": "48", "USD": "1.16", "VND": "30500", "ZAR": "20.5",
    }.items()
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rate:
    """Reporting currency per unit, and the date it holds from; None for a built-in rate or parity."""

    value: Decimal
    since: date | None = None


def built_in_rate(currency: str) -> Rate:
    """What serves while the table has no rate for the currency and the day."""
    return Rate((1 / PER_EURO.get(currency, Decimal(1))).quantize(RATE_STEP))


def to_reporting_minor(amount_minor: int, currency: str, rate: Rate) -> int:
    """The amount in minor units of the reporting currency, rounded half to even."""
    if currency == REPORTING_CURRENCY:
        return amount_minor
    major = Decimal(amount_minor).scaleb(-minor_digits(currency)) * rate.value
    cents = major.scaleb(minor_digits(REPORTING_CURRENCY))
    return int(cents.to_integral_value(rounding=ROUND_HALF_EVEN))


def format_minor(amount_minor: int, currency: str) -> str:
    """`1,234.50 EUR`, with the currency's own number of decimal places."""
    digits = minor_digits(currency)
    return f"{Decimal(amount_minor).scaleb(-digits):,.{digits}f} {currency}"
