"""A day is the house's own day, in what the model sees of a payment as in its exchange rate."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

import numpy as np
import pytest
from django.test import override_settings

from apps.core.clock import now
from apps.fraud.models import Evidence
from apps.fraud.serving import inference
from apps.fraud.serving.services.rebuild import differing, rebuild
from ml.fraud.features import FEATURE_NAMES
from tests.fraud.conftest import drain_all, event

pytestmark = pytest.mark.decision
AHEAD = "Etc/GMT-12"  # twelve hours ahead of UTC, whatever its name says


def within_7_days(post: Any) -> float:
    """What a payment at noon UTC sees of one six days and half an hour before it."""
    noon = datetime.combine(now().date() - timedelta(days=1), time(12), tzinfo=UTC)
    for name, at in (("e1", noon - timedelta(days=6, hours=0.5)), ("e2", noon)):
        post(event(name, occurred_at=at.isoformat()))
        drain_all()
    kept = Evidence.objects.get(decision__transaction__event_id="e2").features
    return float(np.frombuffer(bytes(kept), "<f4")[FEATURE_NAMES.index("card_count_7d")])


def test_days_are_told_by_utc_where_nothing_else_is_set(champion, post, site) -> None:
    assert within_7_days(post) == 1
    assert "clock" not in inference.loaded_here()


def test_days_are_told_by_the_business_clock(champion, post, site) -> None:
    """Twelve hours ahead noon begins a day, the eighth from the one that half past eleven ends."""
    with override_settings(TIME_ZONE=AHEAD):
        assert within_7_days(post) == 0
        assert differing(site, rebuild(site)) == []
    assert differing(site, rebuild(site)) != []  # other days, other states


def test_a_model_of_another_clock_is_named(champion, post) -> None:
    with override_settings(TIME_ZONE=AHEAD):
        assert inference.loaded_here().endswith("trained by the clock of UTC: train it anew")
