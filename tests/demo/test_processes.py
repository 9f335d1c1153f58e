"""Which processes a demo is made of."""

from __future__ import annotations

import pytest

from demo import processes


@pytest.mark.parametrize(("size", "plays"), [("demo", True), ("", True), ("tiny", False)])
def test_payments_are_played_while_the_demo_runs_but_not_in_our_own_tests(
    monkeypatch, size: str, plays: bool
) -> None:
    monkeypatch.setenv("LYNCEUS_DEMO_SIZE", size)
    names = [name for name, _ in processes.commands({})]
    assert processes.ANNOUNCER in names
    assert (processes.PLAYER in names) is plays
