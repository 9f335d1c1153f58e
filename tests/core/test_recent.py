"""A look that is remembered for a moment: an end takes effect within it, a beginning at once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import pytest
from django.db import OperationalError

from apps.core import recent


class AtOnce:
    """In place of the thread beside."""

    def submit(self, work: Callable[..., None], *args: object) -> None:
        work(*args)


@pytest.fixture
def clock(monkeypatch, settings) -> list[float]:
    settings.LYNCEUS_CALLER_CACHE_S = 2
    at = [100.0]
    monkeypatch.setattr(recent.time, "monotonic", lambda: at[0])
    monkeypatch.setattr(recent, "_beside", AtOnce())
    monkeypatch.setattr(recent, "own_connection", nullcontext)
    return at


def test_it_is_asked_again_only_after_a_while(clock) -> None:
    known, asked = {"a": 1}, []

    @recent.recently
    def look(key: str) -> int | None:
        asked.append(key)
        return known.get(key)

    assert [look("a"), look("a")] == [1, 1]
    del known["a"]
    clock[0] += 0.9
    assert look("a") == 1
    assert asked == ["a"]
    clock[0] += 1.2
    assert look("a") is None
    assert asked == ["a", "a"]


def test_what_is_in_use_is_asked_beside_before_its_time_is_over(clock) -> None:
    known = {"a": 1}
    look = recent.recently(known.get)
    look("a")
    known["a"] = 2
    clock[0] += 1.1
    assert [look("a"), look("a")] == [1, 2]
    clock[0] += 1.5  # it has its whole time again
    assert look("a") == 2


def test_what_ended_is_forgotten_beside(clock) -> None:
    known = {"a": 1}
    look = recent.recently(known.get)
    look("a")
    del known["a"]
    clock[0] += 1.1
    assert [look("a"), look("a")] == [1, None]


def test_while_the_database_is_away_what_is_known_lasts_its_time_and_no_longer(clock) -> None:
    answers: list[int | Exception] = [1, OperationalError(), OperationalError()]

    @recent.recently
    def look(key: str) -> int | None:
        found = answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    look("a")
    clock[0] += 1.1
    assert [look("a"), look("a")] == [1, 1]
    clock[0] += 1.0
    with pytest.raises(OperationalError):
        look("a")


def test_what_is_new_works_at_once(clock) -> None:
    known: dict[str, int] = {}
    look = recent.recently(lambda key: known.get(key))
    assert look("a") is None
    known["a"] = 1
    assert look("a") == 1


def test_it_does_not_grow_without_end(clock, monkeypatch) -> None:
    monkeypatch.setattr(recent, "KEPT_MAX", 3)
    asked: list[int] = []
    look = recent.recently(lambda key: asked.append(key) or key)
    for key in (1, 2, 3, 4, 1):
        look(key)
    assert asked == [1, 2, 3, 4, 1]


def test_switched_off_it_is_asked_every_time(settings) -> None:
    settings.LYNCEUS_CALLER_CACHE_S = 0
    asked: list[int] = []
    look = recent.recently(lambda key: asked.append(key) or key)
    look(1), look(1)
    assert asked == [1, 1]
