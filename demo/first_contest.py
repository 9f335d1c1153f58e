"""A declined customer who does not agree, and a case, so that those lists have something to show."""

from __future__ import annotations

import time
from collections.abc import Mapping

import httpx

from apps.accounts.models import User
from apps.core.clock import now
from apps.fraud.models import Alert, Case
from apps.fraud.settle.services.cases import add_evidence, open_case
from demo.seed import accounts

DECLINED = "demo-declined"
PAYMENT = {
    "event_id": DECLINED, "type": "authorization", "card_token": "tok_demo_declined",
    "amount_minor": 2_690_000, "currency": "EUR", "merchant_id": "demo-jeweller",
    "terminal_id": "demo-jeweller-1", "mcc": "5944", "country": "BE", "entry_mode": "chip", "channel": "pos",
}  # fmt: skip
PATIENCE_S = 60.0
SAYS = "It was me: the ring for our wedding. (Synthetic.)"


def contest_and_open_a_case(base_url: str, headers: Mapping[str, str]) -> None:
    """Raises httpx.HTTPStatusError if a door does not take it."""
    contest = {"contest_id": "demo-contest", "event_id": DECLINED, "message": SAYS}
    for door, body in (("decisions", {**PAYMENT, "occurred_at": now().isoformat()}), ("contests", contest)):
        if door == "decisions" and Alert.objects.filter(decision__transaction__event_id=DECLINED).exists():
            continue  # the start before this one was cut off here
        _send(f"{base_url}/api/v1/{door}", body, headers)
    by = User.objects.select_related("site").get(email=accounts()["analyst2"].email)
    if not Case.objects.filter(site=by.site).exists():
        alert = Alert.objects.get(site=by.site, decision__transaction__event_id=DECLINED)
        case = open_case(title="Large payments at one jeweller", alerts=[alert], by=by)
        add_evidence(case, by, text="The merchant is asked for its receipts. (Synthetic.)")


def _send(url: str, body: Mapping[str, object], headers: Mapping[str, str]) -> None:
    """Again while it says that it cannot now: over SQLite others may write for longer than it waits."""
    end = time.monotonic() + PATIENCE_S
    while True:
        answer = httpx.post(url, json=body, headers=headers, timeout=60)
        if answer.status_code != 503 or time.monotonic() > end:
            break
        time.sleep(0.5)
    answer.raise_for_status()
