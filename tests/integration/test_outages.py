"""The broker, the database or the model's file goes away and comes back; nothing that was taken is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from safetensors.numpy import load, save

from tests.integration.apart import Apart
from tests.integration.running import eventually
from tests.integration.storm import Storm
from tests.integration.test_kills import payments, verify_audit
from tests.integration.test_transactions import event

WEBHOOK, SYNC = "/api/v1/transactions", "/api/v1/decisions"
Damage = Callable[[Path], Callable[[], object]]


def ids(events: list[dict[str, Any]]) -> list[str]:
    return [one["event_id"] for one in events]


def waiting_without_bells(apart: Apart) -> list[dict[str, Any]]:
    """Events whose bells went with a broker that was emptied and killed, and one sent while it was away."""
    sent = [event(card_token=f"tok-bell-{n % 9}") for n in range(21)]
    with apart.without_worker():
        assert apart.demo.send_events(sent[:20]).status_code == 202
        apart.broker.client.flushall()
        apart.broker.kill()
        try:
            assert apart.demo.send_events(sent[20]).status_code == 202
        finally:
            apart.broker.start()
        assert apart.pending() == len(sent)
    return sent


def test_a_broker_emptied_and_killed_loses_nothing(apart: Apart) -> None:
    assert apart.not_decided_once(ids(waiting_without_bells(apart))) == {}


def test_were_there_no_sweeper_they_would_wait_for_ever(apart: Apart) -> None:
    with apart.suspended("celery", "beat"):
        sent = waiting_without_bells(apart)
        with apart.demo.as_person("operator") as operator:
            eventually(lambda: worker_listens(operator), of="the worker's return")
        assert apart.broker.client.llen("realtime") == 0
        assert apart.pending() == len(sent)
    assert apart.not_decided_once(ids(sent)) == {}


def worker_listens(operator: httpx.Client) -> bool:
    document = operator.get("/status/", headers={"Accept": "application/json"}).json()
    return {"name": "realtime", "workers": 1} in [
        {name: queue[name] for name in ("name", "workers")} for queue in document["queues"]
    ]


@contextmanager
def database_away(apart: Apart) -> Iterator[None]:
    apart.postgres.crash()
    try:
        yield
    finally:
        apart.postgres.start()


def test_a_database_that_crashes_is_said_at_the_doors_and_loses_nothing_taken(apart: Apart) -> None:
    """In the middle of traffic, whose clients go on trying until it is back."""
    storm, refused = Storm(apart.demo, payments(300)), [event(), event()]
    with storm.blowing():
        eventually(lambda: len(storm.accepted) >= 100, of="the first answers")
        with database_away(apart):
            before = set(storm.accepted)
            for one, door in zip(refused, (WEBHOOK, SYNC), strict=True):
                answer = apart.demo.send_events(one, door)
                assert (answer.status_code, answer.json()["code"]) == (503, "not_stored")
                assert int(answer.headers["Retry-After"]) >= 1 and answer.json()["retryable"]
            with apart.demo.http() as client:
                assert (client.get("/readyz").status_code, client.get("/livez").status_code) == (503, 200)
    assert before < storm.accepted == set(ids(storm.events))
    assert apart.not_decided_once(sorted(storm.accepted)) == {}
    wrong = apart.not_decided_once(ids(refused))
    assert [why.split(",")[0] for why in wrong.values()] == ["stored 0 times"] * 2
    for one, door in zip(refused, (WEBHOOK, SYNC), strict=True):
        assert apart.demo.send_events(one, door).is_success
    assert apart.not_decided_once(ids(refused)) == {}
    verify_audit(apart.demo)


def test_were_the_answer_given_before_the_commit_a_crash_would_take_back_what_was_taken(
    apart: Apart,
) -> None:
    sent = event()
    with apart.web("commits_before_answering") as url:
        assert apart.demo.send_events(sent, url + WEBHOOK).status_code == 202
        with database_away(apart):
            pass
    assert apart.not_decided_once(ids([sent]))[sent["event_id"]].startswith("stored 0 times")


def test_were_it_not_turned_into_503_nobody_would_be_told_to_come_back(apart: Apart) -> None:
    with apart.web("says_503") as url, database_away(apart):
        answer = apart.demo.send_events(event(), url + WEBHOOK)
    assert answer.status_code == 500 and "Retry-After" not in answer.headers


def gone(folder: Path) -> Callable[[], object]:
    aside = folder.rename(folder.with_suffix(".aside"))
    return lambda: aside.rename(folder)


def altered(folder: Path) -> Callable[[], object]:
    """One bit of one weight: it can still be parsed."""
    weights = folder / "weights.safetensors"
    right = weights.read_bytes()
    arrays = load(right)
    arrays["w_out"].view(np.uint8)[-1] ^= 1
    weights.write_bytes(save(arrays))
    return lambda: weights.write_bytes(right)


@contextmanager
def champion_damaged(apart: Apart, damage: Damage) -> Iterator[Callable[[], object]]:
    """Processes that hold it go on with it. Yields what mends it."""
    [(artefact,)] = apart.postgres.rows(
        "SELECT v.artefact_hash FROM modelops_model m JOIN modelops_modelversion v ON v.id = m.champion_id"
        " WHERE m.domain = 'fraud'"
    )
    mend = damage(apart.demo.var / "artefacts" / artefact)
    mended: list[object] = []
    try:
        yield lambda: mended.append(mend())
    finally:
        if not mended:
            mend()


def mode(apart: Apart, door: str) -> tuple[str, str | None]:
    """How a new event is decided, as its answer says."""
    sent = event()
    try:
        # Patiently: what the model says is asked here, not what a busy machine has time for.
        answer = apart.demo.send_events(sent, door, **{"lynceus-deadline-ms": "2000"})
    except httpx.TransportError:
        return "", None  # its process was killed a moment ago
    if door.endswith(WEBHOOK):
        with apart.demo.as_program() as client:
            answer = eventually(
                lambda: (got := client.get(f"{SYNC}/{sent['event_id']}")).status_code == 200 and got
            )
    return answer.json()["mode"], answer.json()["mode_reason"]


def parts_down(operator: httpx.Client) -> set[str]:
    document = operator.get("/status/", headers={"Accept": "application/json"}).json()
    return {check["name"] for check in document["checks"] if not check["ok"]}


UNREADABLE = ("rules_only", "model_unreadable")
NAMED = {"fraud model", "fraud model of this process"}


@pytest.mark.parametrize("damage", [gone, altered])
def test_without_the_models_file_rules_decide_and_say_so_until_it_is_back(
    apart: Apart, damage: Damage
) -> None:
    with champion_damaged(apart, damage) as mend:
        for process in [*apart.settled_web(), *apart.children("realtime@")]:
            process.kill()  # and those that come after them hold none
        for door in (WEBHOOK, SYNC):
            eventually(lambda door=door: mode(apart, door) == UNREADABLE, of="a decision by rules")
        with apart.demo.as_person("operator") as operator:
            assert parts_down(operator) == NAMED
            assert "cannot be read" in operator.get("/status/").text
            assert operator.get("/readyz").status_code == 503
            at_work = {one.pid for one in apart.children("config.web")}
            mend()
            for door in (WEBHOOK, SYNC):
                eventually(lambda door=door: mode(apart, door) == ("full", None), of="the model's return")
            eventually(lambda: parts_down(operator) == set(), of="a status without complaint")
        assert at_work == {one.pid for one in apart.children("config.web")}


def test_were_it_not_tried_again_rules_would_decide_with_the_file_in_its_place(apart: Apart) -> None:
    with (
        champion_damaged(apart, gone) as mend,
        apart.web() as trying,
        apart.web(LYNCEUS_MODEL_RETRY_S="3600") as resigned,
    ):
        for url in (trying, resigned):
            eventually(lambda url=url: mode(apart, url + SYNC) == UNREADABLE, of="a decision by rules")
        mend()
        eventually(lambda: mode(apart, trying + SYNC) == ("full", None), of="the model's return")
        assert mode(apart, resigned + SYNC) == UNREADABLE


def test_were_the_file_not_checked_an_altered_model_would_decide(apart: Apart) -> None:
    with champion_damaged(apart, altered), apart.web() as careful, apart.web("checks_the_model") as trusting:
        eventually(lambda: mode(apart, careful + SYNC) == UNREADABLE, of="a decision by rules")
        eventually(lambda: mode(apart, trusting + SYNC) == ("full", None), of="one by the altered model")
