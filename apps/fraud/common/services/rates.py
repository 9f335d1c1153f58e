"""The dated exchange rates: read the one of then, and import new ones."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from apps.audit.services import record
from apps.fraud.common.iso import CURRENCIES
from apps.fraud.common.money import RATE_STEP, REPORTING_CURRENCY, Rate, built_in_rate
from apps.fraud.models import FxRate

RATE_MAX = Decimal(1000)  # with it the largest amount still fits its column


def business_day(at: datetime) -> date:
    """The day it is in the house's own time zone (LYNCEUS_TIME_ZONE)."""
    return at.astimezone(ZoneInfo(settings.TIME_ZONE)).date()


def rates_of(wanted: Iterable[tuple[str, date]]) -> dict[tuple[str, date], Rate]:
    """For each (currency, day) the newest rate not after that day, else the built-in one."""
    pairs = set(wanted)
    foreign = {currency for currency, _ in pairs} - {REPORTING_CURRENCY}
    if not foreign:
        return {pair: Rate(Decimal(1)) for pair in pairs}
    found: dict[tuple[str, date], Rate] = {}
    for currency, day in pairs:
        found[currency, day] = Rate(Decimal(1)) if currency == REPORTING_CURRENCY else _rate(currency, day)
    return found


def _rate(currency: str, day: date) -> Rate:
    kept = FxRate.objects.filter(Q(date__lte=day), currency=currency).order_by("-date").first()
    return Rate(kept.rate, kept.date) if kept else built_in_rate(currency)


@transaction.atomic
def import_rates(lines: Iterable[str]) -> int:
    """Rates from CSV with the columns currency, date, rate; one of the same day is replaced.

    `rate` is what one unit is worth in the reporting currency. All or none: ValueError names the line.
    """
    reader = csv.DictReader(lines)
    missing = {"currency", "date", "rate"} - set(reader.fieldnames or ())
    if missing:
        raise ValueError(f"The file lacks the columns {', '.join(sorted(missing))}.")
    rows = {(row.currency, row.date): row for row in (_row(line, reader.line_num) for line in reader)}
    FxRate.objects.bulk_create(
        rows.values(), update_conflicts=True, unique_fields=["currency", "date"], update_fields=["rate"]
    )
    record("rates.imported", site=None, actor=None, detail={"count": len(rows)})
    return len(rows)


def _row(line: dict[str, str], number: int) -> FxRate:
    currency = (line["currency"] or "").strip()
    if currency not in CURRENCIES or currency == REPORTING_CURRENCY:
        raise ValueError(f"Line {number}: the currency is unknown or the reporting currency itself.")
    try:
        day, rate = date.fromisoformat((line["date"] or "").strip()), Decimal((line["rate"] or "").strip())
    except (ValueError, InvalidOperation):
        raise ValueError(f"Line {number}: the date or the rate cannot be read.") from None
    if not (rate.is_finite() and RATE_STEP <= rate <= RATE_MAX):
        raise ValueError(f"Line {number}: the rate must lie between {RATE_STEP} and {RATE_MAX:f}.")
    return FxRate(currency=currency, date=day, rate=rate.quantize(RATE_STEP))
