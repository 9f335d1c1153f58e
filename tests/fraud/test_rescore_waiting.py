"""What waits to be scored after the fact keeps neither the sweep nor new transactions from their work."""

from __future__ import annotations

from typing import Any

import pytest

from apps.fraud.models import (
    Rescore,
)
from apps.fraud.services import drain
from apps.modelops.places import artefact_folder
from tests.fraud.conftest import come_back, drain_all, event

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
