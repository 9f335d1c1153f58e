"""What becomes known of a payment reaches the states that score the next ones, each verdict once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.db import IntegrityError, transaction

from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.fraud.decide.services import drain
from apps.fraud.models import (
    Decision,
    Evidence,
    FraudLabel,
    Transaction,
    TransactionStatus,
    UnheardLabel,
)
from apps.fraud.serving.rows import event_of, label_of
from apps.fraud.serving.services import labels
from apps.fraud.wire.schemas import LabelIn
from apps.fraud.wire.services.sources import ensure_source
from ml.fraud.features import FEATURE_NAMES
from ml.fraud.replay import replay
from ml.fraud.state import TerminalState as Known
from tests.fraud.conftest import drain_all, event, state_of

pytestmark = pytest.mark.decision


def say(source: Any, *event_ids: str, fraud: bool = True, **changes: Any) -> labels.LabelReceipt:
    given = [LabelIn(event_id=one, fraud=fraud, source="issuer", **changes) for one in event_ids]
    return labels.store_labels(source=source, labels=given, actor=None)


def known(terminal: str = "t1") -> Known:
    return Known.from_bytes(bytes(state_of("terminal:" + terminal).state))


def last_vector() -> np.ndarray:
    return np.frombuffer(bytes(Evidence.objects.order_by("decision_id").last().features), "<f4")


def feature(name: str) -> float:
    return float(last_vector()[FEATURE_NAMES.index(name)])


def test_a_known_fraud_speaks_against_its_terminal(champion, source, post) -> None:
    post(event("e1", terminal_id="t1"))
    drain_all()
    say(source, "e1")
    drain_all()
    post(event("e2", terminal_id="t1", card_token="another"))
    drain_all()
    assert feature("terminal_bad_30d") == 1
    assert not UnheardLabel.objects.exists()


def test_without_the_feed_the_terminal_stays_clean(champion, source, post, monkeypatch) -> None:
    monkeypatch.setattr(drain, "hear_labels", lambda shard, limit: 0)
    post(event("e1", terminal_id="t1"))
    drain_all()
    say(source, "e1")
    post(event("e2", terminal_id="t1", card_token="another"))
    drain_all()
    assert feature("terminal_bad_30d") == 0


def test_served_with_labels_is_what_replay_gives(champion, source, post) -> None:
    """Bit for bit, with labels that became known between the third and the fourth payment."""
    start = now() - timedelta(days=9)
    sent = [
        event(f"e{i}", terminal_id="t1", card_token=f"c{i % 2}", amount_minor=900 + i,
              occurred_at=(start + timedelta(days=i // 3, seconds=i)).isoformat())
        for i in range(6)
    ]  # fmt: skip
    post(sent[:3])
    drain_all()
    say(source, "e0", "e1")
    say(source, "e2", fraud=False)
    drain_all()
    post(sent[3:])
    drain_all()
    made = Decision.objects.select_related("transaction", "evidence").order_by("pk")
    events = [event_of(one.transaction) for one in made]
    told = [
        replace(label_of(row), known_at_us=events[3].occurred_at_us)
        for row in FraudLabel.objects.order_by("pk")
    ]
    served = np.stack([np.frombuffer(bytes(one.evidence.features), "<f4")[:-1] for one in made])
    assert np.array_equal(served, replay(events, told, 6, lambda _: None))
    assert not np.array_equal(served, replay(events, [], 6, lambda _: None))


def test_the_same_label_again_changes_nothing(champion, source, post) -> None:
    post(event("e1"))
    drain_all()
    assert say(source, "e1") == labels.LabelReceipt(1, 0)
    drain_all()
    assert say(source, "e1") == labels.LabelReceipt(0, 1)
    assert say(source, "e1", raw_code="10.4") == labels.LabelReceipt(1, 0)  # kept, but no news for the states
    drain_all()
    assert known().bad == 1
    assert FraudLabel.objects.count() == 2


def test_a_label_waits_for_its_payments_decision(champion, source, post) -> None:
    post(event("e1"))
    say(source, "e1")
    row = Transaction.objects.get()
    with transaction.atomic():
        assert labels.hear_labels(row.shard, 10) == 0
    assert row.status == TransactionStatus.PENDING
    drain_all()
    drain_all()
    assert known().bad == 1


def test_what_commits_with_the_states_is_heard_once(champion, source, post, monkeypatch) -> None:
    post(event("e1"))
    drain_all()
    say(source, "e1")

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("lost")

    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(labels, "store_states", broken)
        drain_all()
    assert UnheardLabel.objects.count() == 1
    drain_all()
    assert known().bad == 1


def test_an_unknown_event_stores_none_of_them(champion, source, post) -> None:
    post(event("e1"))
    with pytest.raises(LynceusError) as refused:
        say(source, "e1", "nobody")
    assert refused.value.extra["errors"] == [
        {"index": 1, "event_id": "nobody", "field": "event_id", "code": "unknown_event"}
    ]
    assert not FraudLabel.objects.exists()


def test_a_type_of_fraud_is_of_frauds_only(champion, source, post) -> None:
    post(event("e1"))
    with pytest.raises(IntegrityError), transaction.atomic():
        say(source, "e1", fraud=False, type="stolen")


def test_a_refunds_label_is_kept_and_moves_no_state(champion, source, post) -> None:
    post(event("e1", type="refund"))
    say(source, "e1")
    assert FraudLabel.objects.count() == 1
    assert not UnheardLabel.objects.exists()


def label(event_id: str = "e1", **changes: Any) -> dict[str, Any]:
    return {"event_id": event_id, "fraud": True, "source": "issuer", **changes}


def test_the_signed_door(champion, post) -> None:
    post([event("e1"), event("e2")])
    answer = post([label("e1", type="stolen", raw_code="10.4"), label("e2", fraud=False)], door="labels")
    assert (answer.status_code, answer.json()) == (202, {"accepted": 2, "duplicates": 0})
    assert post(label("e2", fraud=False), door="labels").json() == {"accepted": 0, "duplicates": 1}
    assert set(FraudLabel.objects.values_list("fraud", "type")) == {(True, "stolen"), (False, "")}


def test_a_stale_signature_tells_nothing(champion, post) -> None:
    post(event())
    answer = post(label(), door="labels", at=now() - timedelta(minutes=10))
    assert answer.status_code == 401
    assert not FraudLabel.objects.exists()


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"fraud": "yes"}, "fraud", "not_a_boolean"),
        ({"source": "rumour"}, "source", "not_one_of"),
        ({"event_id": "e9"}, "event_id", "unknown_event"),
        ({"known_at": "2999-01-01T00:00:00Z"}, "known_at", "in_the_future"),
        ({"comment": "x"}, "comment", "unknown_field"),
        ({"comment": "4111 1111 1111 1111"}, "comment", "card_number"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_kept(champion, post, changes, field, code) -> None:
    post(event())
    answer = post([label(), label(**changes)], door="labels")
    assert answer.status_code == 422
    assert (field, code) in {(error["field"], error["code"]) for error in answer.json()["errors"]}
    assert "4111" not in answer.content.decode()
    assert not FraudLabel.objects.exists()


def test_another_sources_event_is_unknown(champion, post, site, source) -> None:
    post(event())
    other = ensure_source(site=site, slug="other", name="Other")
    given = LabelIn.model_validate(label())
    with pytest.raises(LynceusError, match="never sent"):
        labels.store_labels(source=other, labels=[given], actor=None)


def test_the_analyst_sees_what_became_known(champion, source, post, client, make_user) -> None:
    post(event("e1"))
    drain_all()
    page = f"/fraud/decisions/{Decision.objects.get().public_id}/"
    client.force_login(make_user("fraud_analyst"))
    assert "What became known" not in client.get(page).content.decode()
    say(source, "e1", type="account_takeover", raw_code="10.4")
    shown = client.get(page).content.decode()
    assert "What became known" in shown
    assert "account takeover" in shown.lower()
    assert "10.4" in shown
