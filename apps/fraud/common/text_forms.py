"""Text that people type into forms: what of it is refused, and what of it a page does not show again."""

from __future__ import annotations

from django.http import QueryDict

from apps.fraud.common.cardguard import holds_card_number

NO_CARD_NUMBER = "This looks like a card number, which is not kept here."


def without_card_numbers(data: QueryDict) -> None:
    """Take out of what a page would show again whatever looks like a card number, once it was refused."""
    for name, value in data.items():
        if isinstance(value, str) and holds_card_number(value):
            data[name] = ""
