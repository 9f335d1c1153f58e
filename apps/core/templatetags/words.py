"""Numbers with what they count, in pages."""

from __future__ import annotations

from django import template

from apps.core import words

register = template.Library()


@register.filter
def counted(n: int, forms: str) -> str:
    """`{{ n|counted:"alert" }}`, `{{ n|counted:"study,studies" }}`."""
    one, _, many = forms.partition(",")
    return words.counted(n, one, many)
