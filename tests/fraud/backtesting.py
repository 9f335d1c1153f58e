"""Payments that were decided, of some it is known what they were, and rules asked of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from apps.core.clock import now
from apps.fraud import tasks
from apps.fraud.backtests.backtest import OF_RULE
from apps.fraud.backtests.services.backtests import start_backtest
from apps.fraud.models import Backtest
from tests.fraud.conftest import drain_all, event

LARGE = {"code": "large", "when": "amount_minor >= 2000", "action": "review", "text": "x", "value": "",
         "baseline": "", "shadow": False}  # fmt: skip
ONLINE = {**LARGE, "code": "online", "when": 'channel == "ecom"', "action": "decline"}
NEW_CARD = {**LARGE, "code": "new_card", "when": "card_history == 0 and amount_minor > 0"}


@pytest.fixture
def analyst(client: Client, author) -> Client:
    client.force_login(author)
    return client


@pytest.fixture
def decided(post) -> None:
    """Two frauds, one of them caught by both rules; one good payment stopped; two of which nobody spoke."""
    at = now() - timedelta(minutes=50)
    payments = [
        ("fraud-both", 5000, "ecom"), ("fraud-small", 100, "pos"), ("good-large", 3000, "pos"),
        ("unknown-online", 900, "ecom"), ("unknown-small", 200, "pos"),
    ]  # fmt: skip
    post([
        event(name, amount_minor=amount, channel=channel, card_token=f"card-{name}",
              occurred_at=(at + timedelta(minutes=place)).isoformat())
        for place, (name, amount, channel) in enumerate(payments)
    ])  # fmt: skip
    drain_all()
    said = [{"event_id": name, "fraud": name.startswith("fraud"), "source": "issuer"}
            for name, _, _ in payments if not name.startswith("unknown")]  # fmt: skip
    # First taken for good, then for fraud: the last word holds.
    post([{"event_id": "fraud-both", "fraud": False, "source": "cardholder"}], door="labels")
    assert post(said, door="labels").status_code == 202


def run(backtest: Backtest) -> Backtest:
    tasks.run_backtest(backtest.pk)
    backtest.refresh_from_db()
    return backtest


def begun(site, author, *rules: dict[str, Any], days: int = 90) -> Backtest:
    return start_backtest(site=site, by=author, rules=rules, version=None, days=days)


def of_rule(backtest: Backtest, row: int = 0) -> dict[str, int]:
    return dict(zip(OF_RULE, backtest.tally["rules"][row], strict=True))
