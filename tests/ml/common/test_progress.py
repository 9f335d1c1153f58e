"""The rate and the time left follow the clock."""

from __future__ import annotations

from ml.common import progress


def test_rate_and_time_left(monkeypatch) -> None:
    clock = iter([0.0, 1.0, 2.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    ticker = progress.Ticker(total=100)
    assert ticker.eta_s is None
    ticker.add(10)
    ticker.add(10)
    assert (ticker.done, ticker.rate, ticker.eta_s) == (20, 10.0, 8.0)
