"""Numbers of training as people read them."""

from __future__ import annotations

from typing import Any

from django import template
from django.contrib.humanize.templatetags.humanize import intcomma

register = template.Library()


@register.filter
def clock(seconds: float | None) -> str:
    """06:40, or 1:02:03 from an hour on."""
    if seconds is None:
        return "\u2013"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes:02d}:{rest:02d}"


@register.filter
def figure(value: Any) -> str:
    """A count or a large sum with thousands set apart, a measure with three decimals (a tiny one with two
    digits)."""
    if value is None:
        return "not defined"
    if isinstance(value, int) or abs(value) >= 1000:
        return str(intcomma(round(value)))
    return f"{value:.3f}" if abs(value) >= 0.001 or value == 0 else f"{value:.2g}"


@register.filter
def share(of_one: float) -> str:
    return f"{100 * of_one:.1f} %"


@register.filter
def pace(rate: float) -> str:
    return str(intcomma(round(rate))) if rate >= 100 else f"{rate:.1f}"
