"""Workers and web processes are killed while they work; nothing is lost, nothing is decided twice."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress

import psutil
import pytest

from tests.integration.apart import Apart
from tests.integration.running import ROOT, Running, eventually
from tests.integration.storm import Storm
from tests.integration.test_transactions import event

KILLS = int(os.environ.get("LYNCEUS_SOAK_KILLS") or 2)
EVENTS = int(os.environ.get("LYNCEUS_SOAK_EVENTS") or 1000)
CARDS, TERMINALS = 60, 25


def payments(count: int) -> list[dict[str, object]]:
    dice = random.Random(20)
    return [
        event(
            card_token=f"tok-storm-{dice.randrange(CARDS)}", terminal_id=f"t-{dice.randrange(TERMINALS)}",
            amount_minor=dice.randrange(100, 50_000),
        )
        for _ in range(count)
    ]  # fmt: skip


def kill_a_web_process(apart: Apart, stack: ExitStack) -> None:
    apart.settled_web()[0].kill()


def kill_the_pool(apart: Apart, stack: ExitStack) -> None:
    eventually(lambda: apart.children("realtime@"), of="a worker to kill")[0].kill()


def kill_a_whole_worker(apart: Apart, stack: ExitStack) -> None:
    """One beside the demo's own, which is dead before the next one comes."""
    stack.close()
    stack.enter_context(apart.worker()).kill()


KINDS: list[Callable[[Apart, ExitStack], None]] = [kill_a_web_process, kill_the_pool, kill_a_whole_worker]


@pytest.mark.soak
def test_what_was_answered_is_decided_once_though_workers_and_web_die(
    apart: Apart, record_property: Callable[[str, object], None]
) -> None:
    storm = Storm(apart.demo, payments(EVENTS))
    with storm.blowing(), ExitStack() as stack:
        for number, kill in enumerate(itertools.islice(itertools.cycle(KINDS), KILLS)):
            due = EVENTS * (number + 1) // (KILLS + 2)
            eventually(lambda due=due: len(storm.accepted) >= due, within_s=300, of=f"{due} answers")
            kill(apart, stack)
    assert storm.accepted == {one["event_id"] for one in storm.events}
    wrong = apart.not_decided_once(sorted(storm.accepted))
    lost = sum("decided 0 times" in why for why in wrong.values())
    for name, value in (
        ("kills", KILLS), ("events", EVENTS), ("sent_again", storm.sent_again), ("lost", lost),
        ("duplicated_or_late", len(wrong) - lost),
    ):  # fmt: skip
        record_property(name, value)
    assert wrong == {}
    of_cards = Counter(one["card_token"] for one in storm.events)
    assert apart.heard_of(list(of_cards)) == of_cards
    stored = apart.postgres.rows(
        "SELECT t.event_id, d.outcome, d.score FROM fraud_decision d JOIN fraud_transaction t"
        " ON t.id = d.transaction_id WHERE t.event_id = ANY(%s)", list(storm.answers),
    )  # fmt: skip
    told = {id_: (answer["decision"], answer["score"]) for id_, answer in storm.answers.items()}
    assert told and told == {id_: tuple(rest) for id_, *rest in stored}
    verify_audit(apart.demo)


def test_a_worker_that_dies_with_everything_written_has_decided_nothing(apart: Apart) -> None:
    """Killed at the worst moment, and not at any: every row is written and none committed."""
    sent = [event(card_token=f"tok-worst-{n % 7}") for n in range(30)]
    with apart.without_worker():
        assert apart.demo.send_events(sent).status_code == 202
        with apart.worker("dies_before_the_commit") as worker:
            assert worker.wait(timeout=60) == -signal.SIGKILL
        assert apart.pending() == len(sent)
    assert apart.not_decided_once([one["event_id"] for one in sent]) == {}


def test_were_the_claim_committed_before_the_decision_the_dead_workers_events_would_be_lost(
    apart: Apart,
) -> None:
    sent = [event() for _ in range(30)]
    with apart.without_worker():
        assert apart.demo.send_events(sent).status_code == 202
        with apart.worker("claims_with_the_decision") as worker:
            assert worker.wait(timeout=60) == -signal.SIGKILL
    lost = apart.not_decided_once([one["event_id"] for one in sent])
    assert len(lost) == len(sent)
    assert all(why.startswith("stored 1 times, decided 0 times") for why in lost.values())


def test_were_the_answer_given_before_the_commit_a_dead_web_process_would_lose_what_it_took(
    apart: Apart,
) -> None:
    sent = event()
    with apart.web("commits_before_answering") as url:
        assert apart.demo.send_events(sent, f"{url}/api/v1/transactions").status_code == 202
    assert apart.not_decided_once([sent["event_id"]])[sent["event_id"]].startswith("stored 0 times")


def test_were_an_event_not_known_again_a_client_that_retries_would_have_it_decided_twice(
    apart: Apart,
) -> None:
    sent = event()
    with apart.web("knows_an_event_again") as url:
        for _ in range(2):
            assert apart.demo.send_events(sent, f"{url}/api/v1/transactions").status_code == 202
    assert "decided 2 times" in apart.not_decided_once([sent["event_id"]])[sent["event_id"]]


def verify_audit(demo: Running) -> None:
    """Every sealed row is whole, and none waits for long."""
    done = subprocess.run(
        [str(ROOT / ".venv/bin/python"), "manage.py", "verify_audit"], cwd=ROOT, capture_output=True,
        text=True, check=False, env={**demo.environment, "LYNCEUS_DEMO": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_film_is_analysed_though_its_decoder_is_killed(demo: Running) -> None:
    film = sorted((demo.var / "films-to-send").glob("*.dcm"))[-1]
    assert demo.store_by_dimse(film) == 0
    for process in demo.processes():
        with suppress(psutil.Error):
            if "ml.radiology.decoder" in process.cmdline():
                process.kill()
    eventually(lambda: demo.study_of(film)["status"] == "analysed", of="the analysis")
