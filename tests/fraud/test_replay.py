"""A decision can be made again from what is kept of it, to the last bit."""

from __future__ import annotations

import io

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from apps.fraud.decide.services import drain
from apps.fraud.models import SHARDS, Decision, Evidence
from apps.fraud.serving import inference
from apps.modelops.common.places import artefact_folder
from tests.fraud.conftest import event

pytestmark = pytest.mark.decision


@pytest.fixture
def decided(champion, post) -> list[Decision]:
    """One batch for each of several cards, scored together."""
    post([event(f"e{i}", card_token=f"c{i % 4}", amount_minor=700 + 137 * i) for i in range(24)])
    for shard in range(SHARDS):
        drain.drain_shard(shard)
    return list(Decision.objects.order_by("pk"))


def told(decision: Decision) -> str:
    out = io.StringIO()
    call_command("replay", str(decision.public_id), stdout=out)
    return out.getvalue()


def test_each_is_the_same_alone_as_it_was_in_its_batch(decided) -> None:
    assert all(told(decision).startswith("The same, version 1") for decision in decided)


def test_it_needs_no_model_in_memory(decided, monkeypatch) -> None:
    monkeypatch.setattr(inference, "_loaded", None)
    assert told(decided[0]).startswith("The same")


def test_a_changed_vector_is_found_out(decided) -> None:
    kept = Evidence.objects.get(decision=decided[5])
    vector = np.frombuffer(bytes(kept.features), "<f4").copy()
    vector[0] += 3
    Evidence.objects.filter(pk=kept.pk).update(features=vector.tobytes())
    with pytest.raises(CommandError, match="Not the same"):
        told(decided[5])


def test_what_is_missing_is_said(decided, champion, monkeypatch) -> None:
    with pytest.raises(CommandError, match="no such decision"):
        call_command("replay", "00000000-0000-0000-0000-000000000000")
    monkeypatch.setattr(inference, "_loaded", None)
    artefact_folder(champion.artefact_hash).unlink()
    with pytest.raises(CommandError, match="artefact_missing"):
        told(decided[0])
    Evidence.objects.update(features=b"")
    with pytest.raises(CommandError, match="evidence_pruned"):
        told(decided[0])


def test_rules_leave_no_score_to_make_again(post) -> None:
    post(event())
    for shard in range(SHARDS):
        drain.drain_shard(shard)
    with pytest.raises(CommandError, match="no_score"):
        told(Decision.objects.get())
