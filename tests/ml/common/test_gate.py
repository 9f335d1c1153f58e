"""The rules of the gate's lines, on numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ml.common import gate
from ml.common.gate import Contender, Difference, GateLine, GateReport, GateRequest


def request(latency_ms: float = 20, slower_percent: float = 50) -> GateRequest:
    one = Contender(Path(), "", Path())
    return GateRequest(one, one, latency_ms, slower_percent)


@pytest.mark.parametrize(
    ("found", "passed", "says"),
    [
        (Difference(0.9, 0.8, 0.02, 0.15), True, "better"),
        (Difference(0.79, 0.8, -0.04, 0.02), True, "not worse"),
        (Difference(0.79, 0.8, -0.06, 0.04), False, "worse, or too few cases to tell"),
        (Difference(0.6, 0.8, -0.3, -0.1), False, "worse"),
        (Difference(0.9, 0.8), False, "too few cases of both kinds"),
        (None, False, "too few cases of both kinds"),
    ],
)
def test_of_all_it_must_be_shown_not_to_be_worse(found, passed, says) -> None:
    line = gate.quality_line("auc", "AUC", found, 0.05)
    assert line.passed == passed
    assert says in line.sentence


@pytest.mark.parametrize(
    ("found", "passed", "says"),
    [
        (Difference(0.6, 0.8, -0.3, -0.1), False, ": worse."),
        (Difference(0.7, 0.8, -0.3, 0.1), True, "on few cases"),
        (Difference(0.79, 0.8, -0.015, -0.005), True, "not worse"),
        (Difference(0.7, 0.8), True, "too few cases for an interval"),
    ],
)
def test_a_part_is_refused_where_it_is_worse_and_not_by_chance(found, passed, says) -> None:
    line = gate.part_line("subgroup:x", "AUC, x", found, 0.05)
    assert line.passed == passed
    assert says in line.sentence


@pytest.mark.parametrize(
    ("spent", "limit", "passed"),
    [
        ({"candidate": 14.0, "champion": 10.0}, 15.0, True),
        ({"candidate": 16.0, "champion": 10.0}, 15.0, False),
        ({"candidate": 21.0, "champion": 100.0}, 20.0, False),
        ({"candidate": 19.0}, 20.0, True),
    ],
)
def test_latency_keeps_both_limits(spent, limit, passed) -> None:
    line = gate.latency_line(spent, request())
    assert (line.limit, line.passed) == (limit, passed)


def test_both_are_measured_on_the_same_draws() -> None:
    """What differs by a constant differs by it in each draw; unpaired, the interval would be wide."""
    values = np.random.default_rng(0).normal(size=100)

    def mean(shift: float):
        return lambda rows: {"mean": float(values[rows].mean() + shift)}

    found = gate.differences(mean(0.1), mean(0.0), np.arange(100) // 2, seed=0)["mean"]
    assert (found.value, found.low, found.high) == pytest.approx((0.1, 0.1, 0.1))


def test_a_report_passes_only_whole() -> None:
    good, bad = GateLine("a", "A", True, ""), GateLine("b", "B", False, "")
    assert GateReport((good,), 5).passed
    assert not GateReport((good, bad), 5).passed
    assert not GateReport((good,), 0).passed
    assert not GateReport((), 5).passed
