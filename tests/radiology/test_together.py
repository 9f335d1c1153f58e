"""Films that wait go through the worker together, and none of them pays for another."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from apps.core import node
from apps.core.clock import now
from apps.modelops.models import HourlyCost
from apps.radiology.analysis.inference import Champion
from apps.radiology.analysis.services import analyse, claims
from apps.radiology.analysis.services.analyse import analyse_instance, begin
from apps.radiology.analysis.services.claims import claim, claim_waiting, take_over
from apps.radiology.common import decoding
from apps.radiology.models import Analysis, Finding, Instance, Status
from ml.radiology.contracts import ACCEPTED, FindingScore, GateVerdict, ImagePrediction
from tests.radiology.test_analysis import expire, huge

POISON = 72  # rows of the film that the model fails on


class Judge:
    """Finds the same in every film but one; remembers how many it was shown at once."""

    def __init__(self, fails_with: type[BaseException] = RuntimeError) -> None:
        self.shown: list[int] = []
        self.fails_with = fails_with

    def admits(self, header: Any) -> GateVerdict:
        return ACCEPTED

    def judge(self, films: Any) -> list[ImagePrediction]:
        self.shown.append(len(films))
        if any(film.shape[0] == POISON for film in films):
            raise self.fails_with
        return [ImagePrediction((FindingScore("Effusion", 0.7, 0.4, True),)) for _ in films]


@pytest.fixture
def judge(version, monkeypatch) -> Judge:
    made = Judge()
    monkeypatch.setattr(analyse, "current_champion", lambda: Champion(version.pk, "", made))
    return made


@pytest.fixture
def waiting(received) -> Callable[[int], list[Instance]]:
    return lambda count: [received() for _ in range(count)]


def poison(received: Callable[..., Instance]) -> Instance:
    return received(Rows=POISON, PixelData=bytes(range(200)) * (POISON * 80 * 2 // 200 + 1))


def statuses() -> list[str]:
    return list(Instance.objects.order_by("pk").values_list("status", flat=True))


def test_it_works(judge, waiting) -> None:
    """One bell is enough for all, and the network sees them at once."""
    films = waiting(5)
    analyse_instance(films[0].pk)
    assert statuses() == [Status.ANALYSED] * 5
    assert judge.shown == [5]
    assert (Analysis.objects.count(), Finding.objects.count()) == (5, 5)
    for one in films:
        analyse_instance(one.pk)  # the other bells find nothing to do
    assert (judge.shown, Analysis.objects.count()) == ([5], 5)
    assert HourlyCost.objects.get().n == 5  # what the network cost is kept once for all


def test_without_the_batch_each_would_go_alone(judge, waiting, monkeypatch) -> None:
    monkeypatch.setattr(analyse, "BATCH", 1)
    monkeypatch.setattr(analyse, "claim_waiting", lambda *_, **__: [])
    for one in waiting(3):
        analyse_instance(one.pk)
    assert judge.shown == [1, 1, 1]


def test_a_film_that_makes_the_model_fail_takes_no_other_along_and_is_parked(
    judge, received, waiting
) -> None:
    waiting(2)
    bad = poison(received)
    waiting(2)
    analyse_instance(bad.pk)
    good = [Status.ANALYSED] * 2
    assert statuses() == [*good, Status.ANALYSING, *good]
    for _ in range(analyse.ATTEMPTS_MAX):
        expire(bad)
        analyse_instance(bad.pk)
    bad.refresh_from_db()
    assert (bad.status, bad.reason_code) == (Status.NOT_ANALYSED, "gave_up")
    assert not bad.analyses.exists()


def test_were_they_not_taken_apart_the_others_would_fail_too(judge, received, waiting, monkeypatch) -> None:
    monkeypatch.setattr(analyse, "_judge_apart", analyse._judge)
    waiting(2)
    bad = poison(received)
    with pytest.raises(RuntimeError):
        analyse_instance(bad.pk)
    assert statuses() == [Status.ANALYSING] * 3


def test_a_film_that_ends_its_decoder_takes_no_other_along(judge, received, waiting, settings) -> None:
    settings.LYNCEUS_DECODE_MEMORY_MB = 384
    waiting(2)
    bad = received(huge())
    waiting(2)
    analyse_instance(bad.pk)
    good = [Status.ANALYSED] * 2
    assert statuses() == [*good, Status.REFUSED, *good]


def test_one_that_was_tried_before_is_tried_alone(judge, waiting) -> None:
    """It may be what the worker died of: what waits beside it must not count as tried."""
    suspect, other = waiting(2)
    claim(suspect.pk)
    expire(suspect)
    assert claim_waiting(9, with_model=True) == [other]
    Instance.objects.filter(pk=other.pk).update(status=Status.RECEIVED, attempts=0)
    analyse_instance(suspect.pk)
    assert statuses() == [Status.ANALYSED, Status.RECEIVED]


@pytest.fixture
def died(judge, received, waiting, monkeypatch) -> list[Instance]:
    """What a worker named imaging@a had when it died in the middle of a batch."""
    monkeypatch.setattr(node, "_name", "imaging@a")
    judge.fails_with = KeyboardInterrupt
    films = [*waiting(2), poison(received)]
    with pytest.raises(KeyboardInterrupt):
        analyse_instance(films[0].pk)
    assert statuses() == [Status.ANALYSING] * 3
    judge.fails_with = RuntimeError
    return films


def test_its_successor_takes_a_dead_workers_films_at_once_and_finishes_each_once(died) -> None:
    assert begin_and_ring(died) == 3
    assert statuses() == [Status.ANALYSED, Status.ANALYSED, Status.ANALYSING]
    assert [one.analyses.count() for one in died] == [1, 1, 0]
    assert set(Instance.objects.values_list("attempts", flat=True)) == {2}


def test_without_that_they_would_wait_for_their_leases(died) -> None:
    assert begin_and_ring(died, take_over=lambda: 0) == 0
    assert statuses() == [Status.ANALYSING] * 3


def test_a_worker_of_another_name_leaves_them_alone(died, monkeypatch) -> None:
    monkeypatch.setattr(node, "_name", "imaging@ab")
    assert begin_and_ring(died) == 0
    assert statuses() == [Status.ANALYSING] * 3


def begin_and_ring(films: list[Instance], take_over: Callable[[], int] = take_over) -> int:
    """A worker starts and hears the bells of these; how many it took over."""
    taken = take_over()
    for one in films:
        analyse_instance(one.pk)
    return taken


def lease_left(monkeypatch: Any, film: Instance, judge: Judge) -> timedelta:
    """Of a claim whose lease had nearly run out, while the worker still is at it."""
    real, left = judge.judge, []

    def late(films: Any) -> list[ImagePrediction]:
        left.append(Instance.objects.get(pk=film.pk).lease_expires_at - now())
        return real(films)

    monkeypatch.setattr(judge, "judge", late)
    monkeypatch.setattr(analyse, "RENEW_S", -1.0)
    monkeypatch.setattr(claims, "LEASE", timedelta(seconds=1))
    taken = claim(film.pk)
    monkeypatch.setattr(claims, "LEASE", timedelta(seconds=60))
    analyse._Desk().work_off([taken], 0.0)
    return left[0]


def test_while_a_worker_is_at_a_film_its_claim_does_not_lapse(judge, received, monkeypatch) -> None:
    assert lease_left(monkeypatch, received(), judge) > timedelta(seconds=30)


def test_without_renewal_it_would(judge, received, monkeypatch) -> None:
    monkeypatch.setattr(analyse, "renew", lambda held: None)
    assert lease_left(monkeypatch, received(), judge) < timedelta(seconds=2)


def test_a_worker_is_warm_before_its_first_film(site, monkeypatch) -> None:
    loaded: list[str] = []
    monkeypatch.setattr(analyse, "current_champion", lambda: loaded.append("model"))
    begin()
    assert loaded == ["model"]
    assert all(decoder._child is not None for decoder in decoding._made())
