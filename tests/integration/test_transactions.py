"""A signed transaction, from its sender to the decision and the analyst's page, through every real part."""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from datetime import UTC, datetime
from typing import Any

from tests.integration.running import ROOT, Running, eventually


def event(**changes: Any) -> dict[str, Any]:
    return {
        "event_id": f"e-{uuid.uuid4().hex}", "type": "authorization",
        "occurred_at": datetime.now(UTC).isoformat(), "card_token": "tok-integration-1",
        "amount_minor": 4200, "currency": "EUR", "merchant_id": "m-1",
        "terminal_id": "t-1", "mcc": "5411", "country": "BE", "entry_mode": "chip", "channel": "pos",
        **changes,
    }  # fmt: skip


def decision_on(demo: Running, event_id: str) -> dict[str, Any]:
    with demo.as_program() as client:
        answer = eventually(
            lambda: (got := client.get(f"/api/v1/decisions/{event_id}")).status_code == 200 and got,
            of="the decision",
        )
    return answer.json()


def test_it_works(demo: Running) -> None:
    sent = event()
    answer = demo.send_events(sent)
    assert answer.status_code == 202
    assert answer.json() == {"accepted": [sent["event_id"]], "duplicates": []}
    made = decision_on(demo, sent["event_id"])
    assert made["decision"] in ("approve", "review", "decline")
    assert made["mode"] == "full" and 0 <= made["score"] <= 1 and made["reasons"]
    assert made["model_version"] == 1


def test_the_same_again_keeps_its_decision_and_another_body_is_refused(demo: Running) -> None:
    sent = event()
    demo.send_events(sent)
    first = decision_on(demo, sent["event_id"])
    assert demo.send_events(sent).json() == {"accepted": [], "duplicates": [sent["event_id"]]}
    assert demo.send_events({**sent, "amount_minor": 1}).status_code == 409
    assert decision_on(demo, sent["event_id"]) == first


def test_a_wrong_signature_and_a_stale_one_are_refused(demo: Running) -> None:
    other = "whsec_" + "A" * 43 + "="
    assert demo.send_events(event(), secret=other).status_code == 401
    stale = str(int(time.time()) - 4000)
    assert demo.send_events(event(), **{"webhook-timestamp": stale}).status_code == 401


def test_a_malformed_event_is_refused_by_the_name_of_its_field(demo: Running) -> None:
    good, bad = event(), event(mcc="54")
    answer = demo.send_events([good, bad])
    assert answer.status_code == 422
    assert [(e["index"], e["field"]) for e in answer.json()["errors"]] == [(1, "mcc")]
    with demo.as_program() as client:
        assert client.get(f"/api/v1/decisions/{good['event_id']}").status_code == 404


def test_many_cards_at_once_are_each_decided_once(demo: Running) -> None:
    events = [event(card_token=f"tok-many-{n % 40}") for n in range(400)]
    assert demo.send_events(events).status_code == 202
    made = [decision_on(demo, one["event_id"]) for one in events]
    assert len(made) == 400 and all(one["mode"] == "full" for one in made)


def test_a_refund_is_kept_and_not_decided(demo: Running) -> None:
    sent = event(type="refund")
    demo.send_events(sent)
    assert decision_on(demo, sent["event_id"])["decision"] is None


def test_the_simulator_plays_through_the_signed_webhook(demo: Running) -> None:
    """`manage.py stream_transactions` finds the running demo by its summary."""
    done = subprocess.run(
        [sys.executable, "manage.py", "stream_transactions", "--rate", "20", "--seconds", "2"],
        cwd=ROOT, env=demo.environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[1]) > 0


def test_a_day_with_attacks_in_it_is_played_and_the_overview_counts_it(demo: Running) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "simulate_day", "--rate", "100", "--speed", "86400", "--seed", "3"],
        cwd=ROOT, env=demo.environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    sent = int(done.stdout.split()[1])
    with demo.as_program() as program:

        def counted() -> bool:
            periods = program.get("/api/v1/watch/periods", params={"days": 1}).json()["items"]
            return sum(one["n"] for one in periods) >= sent and any(one["frauds"] for one in periods)

        eventually(counted, within_s=90, of="the overview")


def test_with_no_demo_running_the_simulator_says_what_to_give(demo: Running, tmp_path) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "stream_transactions"],
        cwd=ROOT, env={**demo.environment, "LYNCEUS_VAR": str(tmp_path)}, capture_output=True, text=True,
        check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1
    assert "--source" in done.stderr
