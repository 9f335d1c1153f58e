"""The narrow key that makes sending again harmless, evidence kept for a while, one payment sent twice."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction

from apps.audit.models import AuditEvent
from apps.core.clock import now
from apps.fraud.decide.services import ingest, verdicts
from apps.fraud.models import Decision, EventKey, Evidence, Transaction
from ml.fraud.features import N_FEATURES
from tests.fraud.conftest import drain_all, event

pytestmark = pytest.mark.decision


def test_a_key_is_stored_with_its_event_and_never_twice(post, source) -> None:
    post([event("e1"), event("e2")])
    assert sorted(EventKey.objects.values_list("event_id", flat=True)) == ["e1", "e2"]
    other = Transaction.objects.get(event_id="e2")
    with pytest.raises(IntegrityError), transaction.atomic():
        EventKey.objects.filter(transaction=other).update(event_id="e1")


def test_without_the_key_an_event_would_be_stored_twice(post) -> None:
    post(first := event())
    assert post(first).json()["duplicates"] == ["e1"]
    EventKey.objects.all().delete()
    assert post(first).json()["accepted"] == ["e1"]
    assert Transaction.objects.count() == 2


def test_a_key_lost_before_the_commit_takes_the_event_with_it(post, monkeypatch, client) -> None:
    def broken(*args: object) -> None:
        raise RuntimeError

    client.raise_request_exception = False
    with monkeypatch.context() as patch:
        patch.setattr(ingest, "mark_repeats", broken)
        assert post(event()).status_code == 500
    assert not Transaction.objects.exists()
    assert not EventKey.objects.exists()


def test_evidence_is_the_row_the_trees_saw_and_every_reason(champion, post, ask) -> None:
    post(event(amount_minor=300_000))
    drain_all()
    kept = Evidence.objects.get()
    assert np.frombuffer(bytes(kept.features), np.float32).shape == (N_FEATURES + 1,)
    told = ask("e1").json()["reasons"]
    assert len(told) > 5
    assert [(one["code"], one["text"], one["weight"]) for one in kept.reasons] == [
        (one["code"], one["text"], one["weight"]) for one in told
    ]


def test_evidence_and_decision_commit_together(champion, post, monkeypatch) -> None:
    def broken(*args: object) -> None:
        raise RuntimeError

    post(event())
    monkeypatch.setattr(verdicts, "_evidence", broken)
    assert drain_all() == 0
    assert not Decision.objects.exists()


def test_old_evidence_goes_and_the_decision_stays(champion, post, ask, client, make_user) -> None:
    post([event("old", amount_minor=900_000), event("new")])
    drain_all()
    old = Decision.objects.get(transaction__event_id="old")
    Decision.objects.filter(pk=old.pk).update(decided_at=now() - timedelta(days=91))
    before = ask("old").json()
    call_command("prune_evidence", days=90)
    call_command("prune_evidence", days=90)
    assert before["reasons"]
    assert ask("old").json() == {**before, "reasons": []}
    assert ask("new").json()["reasons"]
    assert AuditEvent.objects.filter(action="evidence.pruned").count() == 1
    client.force_login(make_user("fraud_analyst"))
    page = client.get(f"/fraud/decisions/{old.public_id}/").content.decode()
    assert old.main_reason
    assert f"The main one was: {old.main_reason}" in page.replace("&#x27;", "'")


def test_one_payment_under_two_ids_is_marked_and_shown(champion, post, ask, client, make_user) -> None:
    post([event("e1", network_reference="123456789012"), event("e2", network_reference="123456789012")])
    post(event("e3", network_reference="123456789012"))
    drain_all()
    assert [ask(f"e{i}").json()["duplicate_of"] for i in (1, 2, 3)] == [None, "e1", "e1"]
    client.force_login(make_user("fraud_analyst"))
    page = client.get(f"/fraud/decisions/{Decision.objects.get(transaction__event_id='e3').public_id}/")
    assert "Sent before under another id" in page.content.decode()


@pytest.mark.parametrize(
    "changes",
    [
        {"amount_minor": 1}, {"currency": "USD"}, {"network_reference": "123456789013"},
        {"type": "reversal", "original_event_id": "e1"},
    ],
)  # fmt: skip
def test_another_payment_is_not_marked(post, changes) -> None:
    post(event("e1", network_reference="123456789012"))
    post(event("e2", **{"network_reference": "123456789012", **changes}))
    post([event("e3"), event("e4")])
    assert not Transaction.objects.exclude(duplicate_of=None).exists()


def test_another_sources_payment_is_not_marked(post, site) -> None:
    from apps.fraud.wire.services.sources import ensure_source

    post(event("e1", network_reference="123456789012"))
    Transaction.objects.update(source=ensure_source(site=site, slug="second", name="Second"))
    post(event("e2", network_reference="123456789012"))
    assert not Transaction.objects.exclude(duplicate_of=None).exists()
