"""The one place that asks for the time, so that a test can hold it still."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone


def now() -> datetime:
    """The present, timezone-aware, UTC."""
    return timezone.now()
