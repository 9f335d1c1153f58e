"""A version in shadow scores what another decides: the same as if it had served, once, and unheard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.core import sql
from apps.fraud.decide.services.pass_through import CODE as PASSED_THROUGH
from apps.fraud.lifecycle.services import follow
from apps.fraud.lifecycle.services.follow import follow_decisions
from apps.fraud.lifecycle.shadow import agreement_of, correlation, waiting_age
from apps.fraud.models import (
    Decision,
    Evidence,
    FraudLabel,
    KeyState,
    ShadowRun,
    ShadowScore,
)
from apps.fraud.rules.rules import Rule
from apps.fraud.serving import inference
from ml.fraud.contracts import KeptVector
from tests.fraud.conftest import drain_all, event
from tests.fraud.shadowing import as_if_it_had_served, scores, version_of
from tests.fraud.shadowing import begin as begin
from tests.fraud.shadowing import challenger as challenger
from tests.fraud.shadowing import ml_admin as ml_admin
from tests.fraud.test_promotion import send_some


@pytest.mark.decision
def test_it_works(challenger, begin, post) -> None:
    """It begins where the card's history has come to, and goes on by itself."""
    send_some(post, count=4)
    begin(challenger)
    send_some(post, start=4, count=3)
    assert follow_decisions() == 3
    send_some(post, start=7, count=2)
    assert follow_decisions() == 2
    assert follow_decisions() == 0
    assert scores() == as_if_it_had_served(challenger)[4:]
    assert waiting_age() == (0, None)
    said = ShadowScore.objects.earliest("decision")
    limits = inference.predictor_of(challenger.artefact_hash).thresholds
    assert (said.review_threshold, said.decline_threshold) == (limits.review, limits.decline)


def test_without_the_history_it_would_begin_anew(challenger, begin, post, monkeypatch) -> None:
    send_some(post, count=4)
    begin(challenger)
    monkeypatch.setattr(follow, "latest_vectors", lambda *_, **__: [])
    send_some(post, start=4, count=1)
    follow_decisions()
    assert scores() != as_if_it_had_served(challenger)[4:]


@pytest.mark.decision
def test_the_same_artefact_says_bit_for_bit_what_was_decided(champion, begin, post) -> None:
    send_some(post, count=2)
    begin(version_of(champion, champion.artefact_hash, 2))
    send_some(post, start=2, count=5)
    follow_decisions()
    decided = list(Decision.objects.order_by("pk").values_list("score", flat=True))
    assert scores() == decided[2:]
    run, site = ShadowRun.objects.get(), champion.dataset.site
    found = agreement_of(run, site)
    assert (found.n, found.same) == (5, 5)


def test_the_states_that_decide_are_none_of_its_business(challenger, begin, post) -> None:
    send_some(post, count=2)
    begin(challenger)
    send_some(post, start=2, count=2)
    before = list(KeyState.objects.order_by("pk").values_list("pk", "version", "artefact_hash"))
    follow_decisions()
    assert list(KeyState.objects.order_by("pk").values_list("pk", "version", "artefact_hash")) == before
    assert not FraudLabel.objects.exists()


# --- deciding has no more to do -----------------------------------------------------------------------


def statements_of(work: Callable[[], Any], monkeypatch) -> int:
    """Through the ORM and beside it."""
    honest, sent = sql.ask, []

    def counted(handle: Any, asked: Any) -> Any:
        sent.extend(asked)
        return honest(handle, asked)

    with monkeypatch.context() as patch, CaptureQueriesContext(connection) as seen:
        patch.setattr(sql, "ask", counted)
        work()
    return len(sent) + len(seen)


def test_deciding_takes_no_statement_more(challenger, begin, post, monkeypatch) -> None:
    send_some(post, count=2)
    post(event("plain", amount_minor=1100))
    plain = statements_of(drain_all, monkeypatch)
    begin(challenger)
    follow_decisions()
    post(event("followed", amount_minor=1100))
    assert statements_of(drain_all, monkeypatch) == plain
    assert follow_decisions() == 1


def test_were_it_scored_with_the_decision_it_would(challenger, begin, post, monkeypatch) -> None:
    send_some(post, count=2)
    post(event("plain", amount_minor=1100))
    plain = statements_of(drain_all, monkeypatch)
    begin(challenger)
    post(event("followed", amount_minor=1100))
    assert statements_of(lambda: (drain_all(), follow_decisions()), monkeypatch) > plain


# --- what it would have come to --------------------------------------------------------------------


def test_rules_have_the_same_word_in_it(challenger, begin, post, serve) -> None:
    begin(challenger)
    serve(Rule(code="large", when="amount_minor > 5000", action="decline", text="It is large."))
    post([event("small"), event("large", amount_minor=6000)])
    drain_all()
    follow_decisions()
    said = ShadowScore.objects.get(decision__transaction__event_id="large")
    assert said.would_be == "decline"
    assert said.by_score in ("approve", "review", "decline")


def test_the_draw_that_let_it_pass_was_of_the_other_versions_declines() -> None:
    reasons = [
        {"code": PASSED_THROUGH, "action": "approve", "shadow": False},
        {"code": "quiet", "action": "decline", "shadow": True},
        {"code": "amount", "weight": 0.3},
    ]
    made = Decision(evidence=Evidence(reasons=reasons))
    assert [(hit.code, hit.shadow) for hit in follow._fired(made)] == [("quiet", True)]


def test_what_was_decided_without_the_history_is_scored_without_it(champion) -> None:
    """And heard of, unless it was too old."""
    model = inference.predictor_of(champion.artefact_hash)
    rng = np.random.default_rng(1)
    width = len(model.usual)
    first, second, third = (rng.random(width).astype(np.float32) for _ in range(3))
    fresh, _ = model.follow([KeptVector("c", second, True, True)], {})
    told, after = model.follow([KeptVector("c", first, True, True), KeptVector("c", second, False, True)], {})
    assert told[1] == fresh[0]
    assert after["c"] == model.memory_of([first.tobytes(), second.tobytes()])
    told, after = model.follow([KeptVector("c", first, True, True), KeptVector("c", third, False, False)], {})
    assert after["c"] == model.memory_of([first.tobytes()])


def test_what_is_no_number_is_said_to_be_none_and_leaves_no_trace(champion) -> None:
    model = inference.predictor_of(champion.artefact_hash)
    good = np.zeros(len(model.usual), np.float32)
    bad = np.full(len(model.usual), np.nan, np.float32)
    told, after = model.follow([KeptVector("c", good, True, True), KeptVector("c", bad, True, True)], {})
    assert told[0] is not None and told[1] is None
    assert after["c"] == model.memory_of([good.tobytes()])


def test_ranks_correlate_whatever_the_scale() -> None:
    rising = [(n / 20, (n / 20) ** 3, True) for n in range(20)]
    assert correlation(rising) == pytest.approx(1.0)
    assert correlation([(a, 1 - b, same) for a, b, same in rising]) == pytest.approx(-1.0)
    assert correlation(rising[:9]) is None
    assert correlation([(0.5, b, True) for _, b, _ in rising]) is None
