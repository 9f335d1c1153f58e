"""Windows of cards, terminals, merchants and devices: what is in them, and whose day it is."""

from __future__ import annotations

import dataclasses
import random
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from ml.fraud.clock import utc_offset_us, utc_offsets_s, with_offsets
from ml.fraud.contracts import Event, Reversal
from ml.fraud.features import FEATURE_NAMES, windows_of
from ml.fraud.importing import events_of
from ml.fraud.memory import Memory
from ml.fraud.windows import DAY_US, DISTINCT, HOUR_US, Buckets, Windows, day_of

KINDS = ("card", "terminal", "merchant", "device")
FAR = datetime(2026, 3, 1, tzinfo=UTC)


def paid(at_h: float, amount_minor: int = 1000, card: str = "c", **changes: object) -> Event:
    at_us = int(FAR.timestamp() * 1e6 + at_h * HOUR_US)
    given = Event("e", "authorization", at_us, card, amount_minor, "EUR", "m", "t", "5411", "BE")
    return dataclasses.replace(given, **{"device_id": "d", **changes})


def last_of(*events: Event) -> dict[str, float]:
    memory = Memory()
    return dict(zip(FEATURE_NAMES, [memory.advance(event) for event in events][-1], strict=True))


def test_each_kind_counts_sums_and_remembers_over_each_span() -> None:
    before = [
        paid(0, 100, "a"), paid(24 * 20, 200, "b"), paid(24 * 28, 400, "c"), paid(24 * 29 + 22, 800, "d"),
        paid(24 * 29 + 22.5, 1600, "e"),
    ]  # fmt: skip
    seen = last_of(*before, paid(24 * 29 + 23, 50, "f"))
    for kind in KINDS[1:]:
        assert [seen[name] for name in windows_of(kind, "count")] == [2, 2, 3, 5]
        assert [round(np.expm1(seen[name]) * 100) for name in windows_of(kind, "sum")] == [
            2400,
            2400,
            2800,
            3100,
        ]
        assert [round(np.expm1(seen[name]) * 100) for name in windows_of(kind, "mean")] == [
            1200,
            1200,
            933,
            620,
        ]
        assert [round(np.expm1(seen[name]) * 100) for name in windows_of(kind, "max")] == [1600] * 4
        assert [seen[name] for name in windows_of(kind, "distinct")] == [DISTINCT[n] for n in (2, 2, 3, 5)]
    assert not any(seen[name] for name in windows_of("card"))  # of a card never seen


def test_a_card_is_told_by_where_it_was_and_against_its_own() -> None:
    before = [paid(24 * day, 1000, terminal_id=f"t{day % 3}") for day in range(10)]
    seen = last_of(*before, paid(24 * 10, 1000, terminal_id="t0"))
    assert [seen[name] for name in windows_of("card", "count")] == [0, 0, 6, 10]
    assert [seen[name] for name in windows_of("card", "distinct")] == [0, 0, DISTINCT[3], DISTINCT[3]]
    assert [round(seen[name], 6) for name in windows_of("card", "mean", "max")] == [0] * 8


def test_what_has_no_name_is_nobodys() -> None:
    memory = Memory()
    for hour in range(3):
        seen = memory.advance(paid(hour, device_id="", merchant_id=""))
    named = dict(zip(FEATURE_NAMES, seen, strict=True))
    assert not any(named[name] for kind in ("merchant", "device") for name in windows_of(kind))
    assert sorted(memory.to_bytes()) == ["card:c", "terminal:t"]


def test_different_ones_are_told_apart_up_to_the_bits() -> None:
    rng = np.random.default_rng(0)
    for different in (1, 5, 20, 60, 150):
        found = []
        for _ in range(40):
            windows = Windows()
            for who in rng.integers(2**32, size=different).tolist() * 2:
                windows.add(1, 1, 100, who)
            found.append(windows.figures(1, 1)[12])
        assert np.mean(found) == pytest.approx(different, rel=0.12)


def test_a_late_one_falls_into_its_own_bucket_and_the_oldest_leave() -> None:
    buckets = Buckets()
    for bucket in (10, 12, 11, 12, 41):
        buckets.add(bucket, 100 * bucket, 1, 31)
    assert (buckets.at, buckets.n) == ([11, 12, 41], [1, 2, 1])
    buckets.add(10, 1, 1, 31)
    assert buckets.at == [11, 12, 41]
    assert buckets.over(12, 1, 2) == (2, 2400, 1200, 1, 3, 3500, 1200, 1)
    assert buckets.over(10, 1, 30) is None


def test_what_is_taken_back_leaves_every_sum_and_no_count() -> None:
    memory = Memory()
    one, other = paid(0, 5000), paid(1, 3000)
    memory.advance(one)
    memory.advance(other)
    memory.take_back(Reversal("c", "t", one.occurred_at_us, 5000, "m", "d"))
    named = dict(zip(FEATURE_NAMES, memory.advance(paid(2, 1)), strict=True))
    for kind in KINDS:
        assert [named[name] for name in windows_of(kind, "count")] == [1, 2, 2, 2]
        assert round(np.expm1(named[f"{kind}_sum_24h"]) * 100) == 3000


@pytest.mark.parametrize(
    "zone", ["Europe/Brussels", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"]
)
def test_one_moment_and_many_are_told_the_same_clock(zone: str) -> None:
    at = pd.Series(pd.date_range("2026-01-01", "2027-01-01", freq="7min", tz="UTC").as_unit("us"))
    many = utc_offsets_s(at, zone)
    assert many.tolist() == [utc_offset_us(int(us), zone) // 1_000_000 for us in at.astype("int64")]
    assert len(set(many.tolist())) == (1 if zone in ("UTC", "Asia/Kolkata") else 2)


@pytest.mark.parametrize(("day", "hours"), [((2026, 3, 29), 23), ((2026, 10, 25), 25), ((2026, 6, 1), 24)])
def test_a_day_is_from_midnight_to_midnight_of_the_business_clock(
    day: tuple[int, int, int], hours: int
) -> None:
    """On the days when the clocks change it has 23 or 25 hours."""
    zone = ZoneInfo("Europe/Brussels")
    start_us = int(datetime(*day, tzinfo=zone).timestamp() * 1e6)

    def number(at_us: int) -> int:
        return day_of(paid(0, occurred_at_us=at_us, utc_offset_us=utc_offset_us(at_us, zone.key)))

    same = [number(start_us + hour * HOUR_US) for hour in range(-1, hours + 1)]
    assert same == [same[1] - 1, *[same[1]] * hours, same[1] + 1]
    in_utc = [(start_us + hour * HOUR_US) // DAY_US for hour in range(hours)]
    assert len(set(in_utc)) == 2  # without the business clock it would fall apart


def test_late_in_the_evening_is_still_today() -> None:
    """From half past midnight to half past 23 six days later: seven days in Brussels, eight in UTC."""
    zone = ZoneInfo("Europe/Brussels")
    times = [datetime(2026, 7, 1, 0, 30, tzinfo=zone), datetime(2026, 7, 7, 23, 30, tzinfo=zone)]
    frame = pd.DataFrame([dataclasses.asdict(paid(0)) | {"occurred_at": at} for at in times])
    frame[["latitude", "longitude"]] = np.nan
    frame["occurred_at"] = pd.to_datetime(frame["occurred_at"], utc=True).dt.as_unit("us")
    here, in_utc = (last_of(*events_of(with_offsets(frame, name))) for name in (zone.key, "UTC"))
    assert (here["card_count_7d"], in_utc["card_count_7d"]) == (1, 0)
    assert (here["night"], in_utc["night"]) == (0, 0)
    assert here["hour_sin"] != in_utc["hour_sin"]


def moved(windows: Windows, rng: random.Random, hour: int) -> int:
    """Something happens to it; some of it late, or taken back. Returns the hour it is now."""
    hour += rng.choice((0, 0, 0, 1, 5, 30))
    then = hour - rng.choice((0, 0, 0, 1, 26, 900))
    if rng.random() < 0.2:
        windows.take_off(then, then // 24, rng.randrange(900))
    else:
        windows.add(then, then // 24, rng.randrange(1, 9000), rng.randrange(40))
    return hour


def test_what_was_found_of_a_day_is_what_would_be_found_anew() -> None:
    rng, windows, hour = random.Random(3), Windows(), 500_000
    for _ in range(3000):
        hour = moved(windows, rng, hour)
        asked = hour - rng.choice((0, 0, 0, 2, 40))
        anew = Windows.from_bytes(windows.to_bytes())
        assert windows.figures(asked, asked // 24) == anew.figures(asked, asked // 24)


def test_were_it_not_forgotten_what_comes_late_would_be_missing() -> None:
    windows = Windows()
    for day, amount in ((100, 10), (102, 20)):
        windows.add(day * 24, day, amount, 1)
    assert windows.figures(102 * 24, 102)[7] == 30
    kept = windows.days.before_of
    windows.add(101 * 24, 101, 5, 1)
    assert windows.figures(102 * 24, 102)[7] == 35
    windows.take_off(101 * 24, 101, 5)
    windows.days.before_of = kept
    assert windows.figures(102 * 24, 102)[7] == 35  # and not 30
