"""DICOM's own notations as people write them. What does not fit its notation is shown as it stands."""

from __future__ import annotations

import re

from django import template

from ml.radiology import vocabulary

register = template.Library()
AGE_UNITS = {"D": "d", "W": "w", "M": "mo", "Y": "y"}


# Of a film, a study or a file that was sent: whatever else is under way or done as it should be.
TONES = {
    "refused": "critical",
    "not_analysed": "attention",
    "in_question": "attention",
    "rejected": "attention",
}
ICONS = {
    "refused": "alert", "not_analysed": "info", "analysed": "check", "duplicate": "check",
    "corrected": "check", "in_question": "alert", "noted": "check", "rejected": "info",
}  # fmt: skip


@register.filter
def film_tone(status: str) -> str:
    return TONES.get(status, "neutral")


@register.filter
def film_icon(status: str) -> str:
    return ICONS.get(status, "clock")


@register.filter
def says(label: str) -> str:
    """What may be said where a model was trained on this label."""
    return vocabulary.says(label)


@register.filter
def spoken(labels: list[str]) -> str:
    return vocabulary.listed(labels)


@register.filter
def dicom_date(value: str) -> str:
    """DA, 20240131, as 2024-01-31."""
    found = re.fullmatch(r"(\d{4})(\d\d)(\d\d)", value)
    return "-".join(found.groups()) if found else value


@register.filter
def dicom_time(value: str) -> str:
    """TM, 134502.123, as 13:45."""
    found = re.match(r"(\d\d)(\d\d)", value)
    return ":".join(found.groups()) if found else value


@register.filter
def dicom_age(value: str) -> str:
    """AS, 064Y, as 64 y."""
    found = re.fullmatch(r"(\d{3})([DWMY])", value)
    return f"{int(found[1])} {AGE_UNITS[found[2]]}" if found else value


@register.filter
def dicom_name(value: str) -> str:
    """PN, Doe^Jane=ideographic, as Doe, Jane."""
    parts = [part.strip() for part in value.split("=")[0].split("^")]
    return ", ".join(part for part in parts if part)
