"""The synchronous door: decided within a deadline or with less, stored before it is answered."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.test import Client

from apps.accounts.models import ApiClient, Site
from apps.accounts.services import rotate_secret
from apps.audit.models import AuditEvent
from apps.core.clock import now
from apps.fraud.decide.services import rescore, verdicts
from apps.fraud.decide.services.decide import Hurry
from apps.fraud.decide.services.decide_now import Asked, decide_asked
from apps.fraud.models import Decision, EventKey, KeyState, LateState, ShardLock, Transaction
from apps.fraud.serving import inference
from apps.fraud.serving.predictors import Champion, NoAnswer
from apps.fraud.wire.services.sources import ensure_source
from apps.fraud.wire.validation import check_events
from tests.fraud.conftest import drain_all, event, state_of
from tests.fraud.test_webhook import errors_of

pytestmark = pytest.mark.decision
PATIENT = "2000"


@pytest.fixture
def token(site) -> str:
    client = ApiClient.objects.create(site=site, name="switch", scopes=["fraud"], source_slug="acquirer")
    return rotate_secret(client)


@pytest.fixture
def decide_now(client: Client, source, token):
    def send(body: Any, deadline: str | None = PATIENT, **headers: str) -> Any:
        given = {"authorization": f"Bearer {token}"} | {k.replace("_", "-"): v for k, v in headers.items()}
        if deadline is not None:
            given["lynceus-deadline-ms"] = deadline
        return client.post("/api/v1/decisions", json.dumps(body), "application/json", headers=given)

    return send


@pytest.fixture
def warm(champion) -> Champion:
    """The model is loaded: what a process has after its first call."""
    model = inference.current_champion()
    assert isinstance(model, Champion)
    return model


def test_it_works(warm, decide_now, ask) -> None:
    answer = decide_now(event())
    made = answer.json()
    assert answer.status_code == 200
    assert (made["mode"], made["model_version"], made["ruleset_version"]) == ("full", 1, 1)
    assert made["deadline_hit"] is False
    assert 0 <= made["score"] <= 1
    assert made["latency_ms"] >= 0
    again = ask("e1").json()
    assert len(again["reasons"]) >= 5
    assert {**again, "reasons": made["reasons"]} == made
    assert AuditEvent.objects.filter(action="transactions.received", actor__startswith="client:").exists()


def test_it_decides_as_the_webhook_does(warm, decide_now, post, ask) -> None:
    for i in range(4):
        decide_now(event(f"a{i}", card_token="card-a", terminal_id="t-a", amount_minor=900 + i))
        post(event(f"b{i}", card_token="card-b", terminal_id="t-b", amount_minor=900 + i))
        Transaction.objects.update(occurred_at=Transaction.objects.get(event_id="a0").occurred_at)
        drain_all()
    assert [ask(f"a{i}").json()["mode"] for i in range(4)] == ["full"] * 4
    assert state_of("card:card-a").version == state_of("card:card-b").version


def test_a_signature_opens_it_too(post, client, decide_now) -> None:
    signed = post(event()).wsgi_request
    names = ("webhook-id", "webhook-timestamp", "webhook-signature", "lynceus-source")
    headers = {name: signed.headers[name] for name in names}
    body = json.dumps(event())
    answer = client.post("/api/v1/decisions", body, "application/json", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "wrong_signature")
    first = signed._body if hasattr(signed, "_body") else b""
    answer = client.post("/api/v1/decisions", first, "application/json", headers=headers)
    assert answer.status_code == 200
    assert answer.json()["decision"] == "approve"


def test_strangers_people_and_other_sites_stay_out(client, decide_now, make_user, site) -> None:
    assert client.post("/api/v1/decisions", "{}", "application/json").status_code == 401
    ensure_source(site=Site.objects.create(slug="south", name="South"), slug="elsewhere", name="Elsewhere")
    assert decide_now(event(), lynceus_source="elsewhere").json()["code"] == "unknown_source"
    client.force_login(make_user("fraud_analyst"))
    assert client.post("/api/v1/decisions", "{}", "application/json").status_code == 403
    assert not Transaction.objects.exists()


def test_the_same_again_gets_the_same_and_another_body_a_conflict(warm, decide_now) -> None:
    first = event()
    made = decide_now(first).json()
    assert decide_now(first).json() == made
    conflict = decide_now({**first, "amount_minor": 1})
    assert conflict.status_code == 409
    assert errors_of(conflict) == {(0, "event_id", "same_id_other_body")}
    assert Decision.objects.count() == EventKey.objects.count() == 1


def test_an_event_that_waits_at_the_other_door_is_decided_here(warm, decide_now, post) -> None:
    first = event()
    post(first)
    assert decide_now(first).json()["mode"] == "full"
    assert drain_all() == 0
    assert Decision.objects.count() == 1


def test_a_reversal_is_recorded(decide_now) -> None:
    made = decide_now(event(type="reversal")).json()
    assert (made["status"], made["decision"]) == ("not_applicable", None)


@pytest.mark.parametrize("deadline", ["", "soon", "-5", "0", "1.5", "٣"])
def test_a_malformed_deadline_is_refused(decide_now, deadline) -> None:
    answer = decide_now(event(), deadline)
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_deadline")
    assert not Transaction.objects.exists()


def test_a_long_deadline_is_cut_and_a_list_or_a_bad_event_refused(decide_now) -> None:
    assert decide_now(event(), "999999999").status_code == 200
    assert decide_now([event("e2"), event("e3")]).json()["code"] == "wrong_event_count"
    assert decide_now(event("e2", currency="EURO")).json()["code"] == "invalid_events"
    assert Transaction.objects.count() == 1


@pytest.fixture
def slow_model(warm, monkeypatch):
    """A model that answers when `released` is set."""
    released = threading.Event()
    honest = type(warm.predictor).score_batch

    def slow(self, *args: Any, **kwargs: Any) -> Any:
        released.wait(30)
        return honest(self, *args, **kwargs)

    monkeypatch.setattr(type(warm.predictor), "score_batch", slow)
    yield released
    released.set()


def test_a_model_that_is_too_slow_leaves_the_rules_and_hears_of_it_later(slow_model, decide_now, ask) -> None:
    made = decide_now(event(), "60").json()
    assert (made["mode"], made["mode_reason"], made["deadline_hit"]) == ("rules_only", "deadline", True)
    assert made["score"] is None
    assert ask("e1").json() == made
    assert state_of().version == 0
    slow_model.set()
    drain_all()
    drain_all()
    assert state_of().version == 1
    assert not LateState.objects.exists()
    assert decide_now(event("e2")).json()["mode"] == "full"
    assert Decision.objects.count() == 2


def test_without_the_note_for_later_the_state_would_never_hear(slow_model, decide_now, monkeypatch) -> None:
    monkeypatch.setattr(verdicts, "keep_for_later", lambda *_, **__: None)
    decide_now(event(), "60")
    slow_model.set()
    drain_all()
    assert state_of().version == 0


def test_without_the_deadline_it_would_wait_for_the_model(slow_model, decide_now, monkeypatch) -> None:
    monkeypatch.setattr(inference, "_in_time", lambda until, work, *args: slow_model.set() or work(*args))
    made = decide_now(event(), "60").json()
    assert (made["mode"], made["deadline_hit"]) == ("full", False)


def test_a_commit_that_fails_is_503_and_leaves_nothing(warm, decide_now, post, monkeypatch) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise OperationalError("the server closed the connection")

    with monkeypatch.context() as patch:
        patch.setattr(verdicts, "record", broken)
        answer = decide_now(event())
    assert (answer.status_code, answer.json()["code"]) == (503, "not_stored")
    assert answer["Retry-After"] == "1"
    assert not Transaction.objects.exists()
    assert decide_now(event()).status_code == 200
    with monkeypatch.context() as patch:
        patch.setattr("apps.fraud.decide.services.ingest.record", broken)
        assert post(event("e2")).status_code == 503
    assert Transaction.objects.count() == 1


def _holding_the_card(held: threading.Event, release: threading.Event) -> None:
    try:
        with transaction.atomic():
            KeyState.objects.select_for_update().get(key="card:card-0001")
            held.set()
            release.wait(30)
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
def test_a_card_that_is_held_is_decided_without_its_history(warm, decide_now, monkeypatch) -> None:
    if connection.vendor == "sqlite":
        assert _on_sqlite_the_writer_is_waited_for(decide_now, monkeypatch)
        return
    decide_now(event())
    held, release = threading.Event(), threading.Event()
    holder = threading.Thread(target=_holding_the_card, args=(held, release))
    holder.start()
    held.wait(30)
    made = decide_now(event("e2"), "2000").json()
    assert (made["mode"], made["mode_reason"], made["deadline_hit"]) == ("no_state", "state_busy", True)
    assert made["score"] is not None
    release.set()
    holder.join()
    before = bytes(state_of().state)
    drain_all()
    assert bytes(state_of().state) != before
    after = bytes(state_of().state)
    drain_all()
    assert bytes(state_of().state) == after


def _on_sqlite_the_writer_is_waited_for(decide_now, monkeypatch) -> bool:
    """One lock for all: the first wait ends, the second lasts until the writer is done."""
    decide_now(event())
    held, release = threading.Event(), threading.Event()
    holder = threading.Thread(target=_holding_the_card, args=(held, release))
    holder.start()
    held.wait(30)
    monkeypatch.setattr("apps.fraud.decide.services.decide_now.LAST_WAIT_S", 0.02)
    answer = decide_now(event("e2"), "40")
    release.set()
    holder.join()
    return answer.status_code == 503 and decide_now(event("e2")).status_code == 200


def test_late_states_wait_while_no_model_serves(slow_model, decide_now, monkeypatch) -> None:
    decide_now(event(), "60")
    slow_model.set()
    with monkeypatch.context() as patch:
        patch.setattr(rescore.inference, "current_champion", lambda: NoAnswer("no_model"))
        drain_all()
    assert LateState.objects.count() == 1
    ShardLock.objects.update(late_retry_at=now())
    drain_all()
    assert LateState.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_the_same_event_at_both_doors_at_once_is_decided_once(warm, decide_now, post, ask) -> None:
    events = [event(f"e{i}", amount_minor=300_000) for i in range(6)]
    post(events[::2])
    together = threading.Barrier(3)
    answers: list[dict[str, Any]] = []

    def at_the_door() -> None:
        try:
            together.wait()
            answers.extend(decide_now(one).json() for one in events)
        finally:
            connection.close()

    def at_the_shard() -> None:
        try:
            together.wait()
            for _ in range(6):
                drain_all()
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for work in (at_the_door, at_the_door, at_the_shard)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Decision.objects.count() == Transaction.objects.count() == EventKey.objects.count() == 6
    assert not Transaction.objects.exclude(attempts=0).exists()
    assert len(answers) == 12
    for answer in answers:
        assert answer == ask(answer["event_id"]).json()


@pytest.mark.parametrize("kind", ["reversal", "partial_reversal", "refund"])
def test_what_takes_a_payment_back_is_stored_and_not_decided(warm, decide_now, ask, kind: str) -> None:
    answer = decide_now(event(type=kind, original_event_id="e0"))
    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["decision"]) == ("not_applicable", None)
    assert ask("e1").json() == answer.json()
    assert Transaction.objects.get().status == "not_applicable"
    assert not Decision.objects.exists() and not KeyState.objects.exists()


def test_beside_a_payment_in_one_batch_only_the_payment_is_decided(warm, source) -> None:
    items = check_events([event("back", type="refund"), event("paid")])
    asked = [Asked(source, item, None) for item in items]
    back, paid = decide_asked(asked, Hurry(time.monotonic() + 60), 10.0)
    assert (back.status, paid.status, paid.decision.mode) == ("not_applicable", "decided", "full")
    assert list(Decision.objects.values_list("transaction__event_id", flat=True)) == ["paid"]
