"""A promotion keeps what is known of cards and terminals, and gives the new network its memory of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from apps.fraud.models import Decision, Evidence
from apps.fraud.serving import inference
from apps.fraud.serving.services import sequence
from apps.modelops.common.places import artefact_folder
from apps.modelops.models import ModelVersion, TrainingJob
from ml.fraud.features import FEATURE_NAMES
from tests.fraud.conftest import drain_all, event
from tests.promoting import put_in_service

pytestmark = pytest.mark.decision


@pytest.fixture
def promote(champion, trained_again, site) -> Callable[[], ModelVersion]:
    def do() -> ModelVersion:
        artefact_folder(trained_again.artefact_hash).symlink_to(trained_again.artefact_dir)
        job = TrainingJob.objects.create(site=site, domain="fraud", dataset=champion.dataset, preset="tiny")
        version = ModelVersion.objects.create(
            model=champion.model, number=2, artefact_hash=trained_again.artefact_hash,
            dataset=champion.dataset, job=job,
        )  # fmt: skip
        put_in_service(version)
        return version

    return do


def send_some(post, start: int = 0, count: int = 6) -> None:
    for number in range(start, start + count):
        post(event(f"e{number}", amount_minor=1000 + 100 * number))
        drain_all()


def vectors() -> list[np.ndarray]:
    rows = Evidence.objects.order_by("decision_id").values_list("features", flat=True)
    return [np.frombuffer(bytes(row), "<f4") for row in rows]


def step_of(model, vector: np.ndarray, hidden):
    [margin] = model.predictor.tree_margins(vector[None, :-1])
    return model.predictor.gru.step(vector[:-1], margin, hidden)


def test_counts_go_on_and_the_new_network_remembers(promote, post, ask) -> None:
    send_some(post)
    promote()
    send_some(post, start=6, count=2)
    made = ask("e6").json()
    assert (made["mode"], made["mode_reason"], made["model_version"]) == ("full", None, 2)
    seen = vectors()
    history = [float(vector[FEATURE_NAMES.index("card_history")]) for vector in seen]
    assert np.allclose(np.expm1(history), range(8))
    model = inference.current_champion()
    hidden, logits = None, []
    for vector in seen:
        logit, hidden = step_of(model, vector, hidden)
        logits.append(np.float32(logit))
    assert [vector[-1] for vector in seen[6:]] == logits[6:]  # as if it had served from the first event


def test_without_the_hand_over_it_would_begin_anew(promote, post, monkeypatch) -> None:
    send_some(post)
    promote()
    monkeypatch.setattr(sequence, "latest_vectors", lambda *_: [])
    send_some(post, start=6, count=1)
    model = inference.current_champion()
    cold, _ = step_of(model, vectors()[-1], None)
    assert vectors()[-1][-1] == np.float32(cold)


def test_a_card_whose_vectors_are_gone_is_said_to_begin_anew(promote, post, ask) -> None:
    send_some(post)
    Evidence.objects.update(features=b"")
    promote()
    send_some(post, start=6, count=2)
    assert ask("e6").json()["mode_reason"] == "sequence_anew"
    assert ask("e7").json()["mode_reason"] is None


def test_rolling_back_is_a_promotion_like_any_other(promote, champion, post, ask, site) -> None:
    send_some(post, count=3)
    promote()
    send_some(post, start=3, count=3)
    put_in_service(champion)
    send_some(post, start=6, count=1)
    assert ask("e6").json()["model_version"] == 1
    history = vectors()[-1][FEATURE_NAMES.index("card_history")]
    assert np.expm1(history) == pytest.approx(6)


def test_one_that_cannot_be_read_leaves_the_one_before_in_service(promote, post, ask) -> None:
    send_some(post, count=2)
    version = promote()
    artefact_folder(version.artefact_hash).unlink()
    send_some(post, start=2, count=1)
    made = ask("e2").json()
    assert (made["mode"], made["model_version"]) == ("full", 1)
    assert Decision.objects.filter(mode="rules_only").count() == 0
