"""Amounts and card tokens as an analyst may see them."""

from __future__ import annotations

from django import template

from apps.fraud.common.money import REPORTING_CURRENCY, format_minor
from apps.fraud.models import Transaction

register = template.Library()


@register.filter
def amount(row: Transaction) -> str:
    return format_minor(row.amount_minor, row.currency)


@register.filter
def reporting(amount_minor: int) -> str:
    return format_minor(amount_minor, REPORTING_CURRENCY)


@register.filter
def card_end(token: str) -> str:
    """The last four characters, never more than half of a short token."""
    return "…" + token[-min(4, len(token) // 2) :] if len(token) > 1 else "…"


@register.filter
def acted(action: str) -> str:
    """`decline` as what would have been done: declined."""
    return {"approve": "approved", "review": "asked for a review", "decline": "declined"}.get(action, action)


@register.filter
def percent(share: float | None) -> str:
    """12.3 %; words where nothing is known to take a share of."""
    return "not defined" if share is None else f"{share * 100:.1f}\u00a0%"
