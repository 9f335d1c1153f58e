"""What waits to be scored after the fact keeps neither the sweep nor new transactions from their work."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from apps.core.clock import now
from apps.fraud.decide.services import drain
from apps.fraud.models import (
    SHARDS,
    HeardLater,
    LateState,
    Rescore,
    ShardLock,
    UnheardLabel,
)
from apps.fraud.serving.services import labels
from apps.fraud.serving.services.rebuild import differing, rebuild
from apps.modelops.common.places import artefact_folder
from tests.fraud.conftest import come_back, drain_all, event
from tests.fraud.test_labels import say

pytestmark = pytest.mark.decision


def test_the_sweep_leaves_alone_what_waits_for_the_model(champion, trained, post, monkeypatch) -> None:
    rung: list[Any] = []
    monkeypatch.setattr(drain, "ring", lambda *args: rung.append(args))
    artefact_folder(champion.artefact_hash).unlink()
    post(event())
    drain.drain_shard(0)
    assert drain.ring_overdue() == 1  # nobody has tried yet
    drain.drain_shard(0)
    assert drain.ring_overdue() == 0
    come_back(champion, trained)
    assert drain.ring_overdue() == 1
    drain_all()
    assert Rescore.objects.exists() and drain.ring_overdue() == 0


def test_without_the_mark_it_would_ring_at_every_sweep(champion, post, settings) -> None:
    settings.LYNCEUS_MODEL_RETRY_S = 0
    artefact_folder(champion.artefact_hash).unlink()
    post(event())
    drain_all()
    assert drain.ring_overdue() == 1


def put_off() -> None:
    """What is late, in every shard."""
    ShardLock.objects.bulk_create([ShardLock(number=n) for n in range(SHARDS)], ignore_conflicts=True)
    ShardLock.objects.update(late_retry_at=now() + timedelta(hours=1))


def test_a_label_waits_for_its_payment_to_be_heard_of(unread, source, site) -> None:
    unread(event())
    put_off()
    say(source, "e1")
    drain_all()
    assert UnheardLabel.objects.exists() and drain.ring_overdue() == 0
    ShardLock.objects.update(late_retry_at=now())
    drain_all()
    assert not UnheardLabel.objects.exists()
    assert [bool(one.label) for one in HeardLater.objects.order_by("pk")] == [False, True]
    assert differing(site, rebuild(site)) == []


def test_did_it_not_wait_it_would_be_heard_of_first(unread, source, monkeypatch) -> None:
    for module in (labels, drain):
        monkeypatch.setattr(module, "ready_labels", lambda: UnheardLabel.objects.all())
    unread(event())
    put_off()
    say(source, "e1")
    drain_all()
    ShardLock.objects.update(late_retry_at=now())
    drain_all()
    assert [bool(one.label) for one in HeardLater.objects.order_by("pk")] == [True, False]


def test_what_is_late_leaves_time_for_what_is_new(unread, post, ask, monkeypatch) -> None:
    rung: list[Any] = []
    monkeypatch.setattr(drain, "ring", lambda *args: rung.append(args))
    unread(event())
    monkeypatch.setattr(drain, "CATCH_UP_S", 0.0)
    post(event("new"))
    assert drain.drain_shard(0) == 1
    assert ask("new").json()["mode"] == "full"
    assert LateState.objects.exists() and rung == [("fraud.decide_pending", 0)]
