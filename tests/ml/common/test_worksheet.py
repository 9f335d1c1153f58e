"""A long list of answers goes on where a killed run left it, and is there whole or not at all."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ml.common.worksheet import Worksheet

ABOUT = {"version": 1, "file": "x"}
KILLED = """
import os, signal, sys
from pathlib import Path
from ml.common.worksheet import Worksheet
sheet = Worksheet(Path(sys.argv[1]), {"version": 1, "file": "x"})
sheet.write({0: {"a": 1}, 1: {"a": 2}}, {"card:1": b"one"})
class Deadly:
    def items(self):
        yield 2, {"a": 3}
        os.kill(os.getpid(), signal.SIGKILL)
sheet.write(Deadly(), {"card:1": b"two"})
"""


def lines(path: Path) -> list[object]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_it_works(tmp_path) -> None:
    out = tmp_path / "scores.jsonl"
    with Worksheet(out, ABOUT) as sheet:
        assert sheet.done() == set()
        sheet.write({1: {"a": 2}}, {"card:1": b"x"})
        sheet.write({0: {"a": 1}})
        assert sheet.states(["card:1", "card:2", *(f"card:{i}" for i in range(3, 2000))]) == {"card:1": b"x"}
        assert not out.exists()
        assert sheet.finish() == 2
    assert lines(out) == [ABOUT, {"a": 1}, {"a": 2}]
    assert [path.name for path in tmp_path.iterdir()] == ["scores.jsonl"]
    with pytest.raises(FileExistsError, match="already"):
        Worksheet(out, ABOUT)


def test_a_run_killed_in_the_middle_of_a_step_goes_on_before_it(tmp_path) -> None:
    out = tmp_path / "scores.jsonl"
    done = subprocess.run([sys.executable, "-c", KILLED, str(out)], check=False)
    assert done.returncode == -signal.SIGKILL
    with Worksheet(out, ABOUT) as sheet:
        assert sheet.done() == {0, 1}
        assert sheet.states(["card:1"]) == {"card:1": b"one"}
        sheet.write({2: {"a": 3}})
        sheet.finish()
    assert lines(out)[1:] == [{"a": 1}, {"a": 2}, {"a": 3}]


def test_a_step_that_fails_leaves_nothing(tmp_path) -> None:
    with Worksheet(tmp_path / "x", ABOUT) as sheet:
        with pytest.raises(TypeError):
            sheet.write({0: {"a": 1}, 1: {"a": object()}}, {"card:1": b"x"})
        assert (sheet.done(), sheet.states(["card:1"])) == (set(), {})


def test_what_was_begun_of_something_else_is_not_gone_on_with(tmp_path) -> None:
    Worksheet(tmp_path / "x", ABOUT)
    with pytest.raises(ValueError, match="another version"):
        Worksheet(tmp_path / "x", {**ABOUT, "version": 2})
    (tmp_path / "y.part").write_text("notes of somebody's, long enough to be no database" * 20)
    with pytest.raises(ValueError, match="is not what a run"):
        Worksheet(tmp_path / "y", ABOUT)
