"""A version in shadow scores what another decides: the same as if it had served, once, and unheard."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from apps.core import sql
from apps.fraud import inference
from apps.fraud.models import (
    Decision,
    Evidence,
    FraudLabel,
    KeyState,
    ShadowCount,
    ShadowCursor,
    ShadowMemory,
    ShadowRun,
    ShadowScore,
    Source,
    Transaction,
)
from apps.fraud.rules import Rule
from apps.fraud.services import follow
from apps.fraud.services.decide import decide_transactions
from apps.fraud.services.follow import follow_decisions
from apps.fraud.services.ingest import shard_of
from apps.fraud.services.pass_through import CODE as PASSED_THROUGH
from apps.fraud.shadow import agreement_of, correlation, waiting_age
from apps.modelops.models import ModelVersion
from ml.fraud.contracts import KeptVector
from tests.fraud.conftest import drain_all, event
from tests.fraud.shadowing import begin as begin
from tests.fraud.shadowing import challenger as challenger
from tests.fraud.shadowing import ml_admin as ml_admin
from tests.fraud.shadowing import scores, version_of
from tests.fraud.test_promotion import send_some, vectors


def as_if_it_had_served(version: ModelVersion) -> list[float]:
    """What a network that saw every vector from the first on says of each."""
    model = inference.predictor_of(version.artefact_hash)
    hidden, scores = None, []
    for vector in vectors():
        [margin] = model.tree_margins(vector[None, :-1])
        logit, hidden = model.gru.step(vector[:-1], margin, hidden)
        [score] = model.probabilities(np.array([margin + np.float32(logit)], np.float32))
        scores.append(float(score))
    return scores


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


# --- a killed worker loses nothing and doubles nothing ---------------------------------------------


class Killed(BaseException):
    """As a signal ends a worker: no handler of ours sees it."""


def killed_once(monkeypatch, name: str) -> None:
    honest = getattr(follow, name)

    def dies(*given: Any) -> Any:
        monkeypatch.setattr(follow, name, honest)
        raise Killed

    monkeypatch.setattr(follow, name, dies)


@pytest.mark.parametrize("where", ["_memories", "_count", "move_on"])
def test_a_killed_worker_loses_nothing_and_doubles_nothing(
    challenger, begin, post, monkeypatch, where
) -> None:
    begin(challenger)
    send_some(post, count=4)
    killed_once(monkeypatch, where)
    with pytest.raises(Killed):
        follow_decisions()
    assert scores() == [] and not ShadowMemory.objects.exists() and not ShadowCount.objects.exists()
    send_some(post, start=4, count=2)
    follow_decisions()
    assert scores() == as_if_it_had_served(challenger)
    assert sum(ShadowCount.objects.values_list("n", flat=True)) == 6


def test_were_they_not_written_together_some_would_be_lost(challenger, begin, post, monkeypatch) -> None:
    begin(challenger)
    send_some(post, count=4)
    monkeypatch.setattr(follow, "follow_shard", follow.follow_shard.__wrapped__)
    killed_once(monkeypatch, "_count")
    with pytest.raises(Killed):
        follow_decisions()
    follow_decisions()
    assert len(scores()) == 4 and not ShadowCount.objects.exists()


def test_the_database_keeps_one_score_of_a_decision(challenger, begin, post) -> None:
    run = begin(challenger)
    send_some(post, count=1)
    follow_decisions()
    said = ShadowScore.objects.get()
    said.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        said.save(force_insert=True)
    assert run.scores.count() == 1


def of_one_shard(site_id: int) -> tuple[str, str]:
    """Two cards that one worker decides and follows."""
    shard = shard_of(site_id, "card-0001")
    others = (f"card-{n:04d}" for n in range(2, 1000))
    return "card-0001", next(card for card in others if shard_of(site_id, card) == shard)


def decided_slowly(pk: int, drawn: threading.Event, release: threading.Event) -> None:
    """Its key is drawn long before it is committed."""
    try:
        with transaction.atomic():
            decide_transactions(list(Transaction.objects.filter(pk=pk).select_related("source__site")))
            drawn.set()
            release.wait(60)
    finally:
        connection.close()


def overtaken(post, source: Source) -> None:
    """A decision commits after one with a larger key has been followed, several rounds ago."""
    early, late = of_one_shard(source.site_id)
    post(event("slow", card_token=early))
    drawn, release = threading.Event(), threading.Event()
    slow = threading.Thread(
        target=decided_slowly, args=(Transaction.objects.get(event_id="slow").pk, drawn, release)
    )
    slow.start()
    assert drawn.wait(60)
    post(event("quick", card_token=late, merchant_id="m2", terminal_id="t2"))
    pk = Transaction.objects.get(event_id="quick").pk
    with transaction.atomic():
        decide_transactions(list(Transaction.objects.filter(pk=pk).select_related("source__site")))
    for _ in range(5):
        follow_decisions()
    assert len(scores()) == 1
    release.set()
    slow.join(60)
    for _ in range(5):
        follow_decisions()


@pytest.mark.django_db(transaction=True)
def test_one_that_commits_late_is_not_passed_over(challenger, begin, post, source) -> None:
    """PostgreSQL's matter: SQLite's writers wait for each other."""
    run = begin(challenger)
    overtaken(post, source)
    slow, quick = Decision.objects.order_by("pk")
    assert slow.transaction.event_id == "slow" and slow.decided_at < quick.decided_at
    assert ShadowScore.objects.count() == 2
    last = ShadowCursor.objects.get(run=run, shard=quick.transaction.shard)
    assert last.through == quick.pk or waiting_age() == (0, None)


@pytest.mark.django_db(transaction=True)
def test_a_cursor_that_goes_by_keys_alone_would_pass_it_over(
    challenger, begin, post, source, monkeypatch
) -> None:
    monkeypatch.setattr(follow, "transactions", lambda: (1, 1))
    begin(challenger)
    overtaken(post, source)
    assert Decision.objects.count() == 2 and ShadowScore.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_shard_is_one_workers(challenger, begin, post, source) -> None:
    run = begin(challenger)
    send_some(post, count=2)
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        try:
            with transaction.atomic():
                list(ShadowCursor.objects.select_for_update().filter(run=run))
                held.set()
                release.wait(60)
        finally:
            connection.close()

    other = threading.Thread(target=hold)
    other.start()
    assert held.wait(60)
    assert follow_decisions() == 0
    release.set()
    other.join(60)
    assert follow_decisions() == 2


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


# --- beginning and ending --------------------------------------------------------------------------
