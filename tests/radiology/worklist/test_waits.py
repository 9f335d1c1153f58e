"""How long a study waited against its target, and exam clocks that cannot be right. Pure functions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from apps.radiology.models import ReadingPolicy, Study
from apps.radiology.studies.waits import clock_disagrees, exam_time, wait_of

AT = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
POLICY = ReadingPolicy()
BERLIN = ZoneInfo("Europe/Berlin")


def study(**fields) -> Study:
    return Study(**{"received_at": AT, "last_received_at": AT, **fields})


@pytest.mark.parametrize(
    ("priority", "minutes", "words"),
    [("stat", 60, "60 min"), ("urgent", 240, "4 h"), ("routine", 1440, "24 h")],
)
def test_over_target_by_priority(priority, minutes, words) -> None:
    one, target = study(priority=priority), timedelta(minutes=minutes)
    assert not wait_of(one, POLICY, AT + target).over
    late = wait_of(one, POLICY, AT + target + timedelta(seconds=1))
    assert (late.over, late.target_words, late.since) == (True, words, AT)


def test_a_site_sets_its_own_targets() -> None:
    assert wait_of(study(priority="stat"), ReadingPolicy(stat_target_min=10), AT + timedelta(minutes=11)).over


def test_what_is_signed_waits_no_more_but_for_films_that_came_after() -> None:
    signed, year = study(read_state="final"), timedelta(days=365)
    assert not wait_of(signed, POLICY, AT + year).over
    late = study(read_state="final", late_films=True, last_received_at=AT + year)
    assert not wait_of(late, POLICY, AT + year).over
    assert wait_of(late, POLICY, AT + 2 * year).over


@pytest.mark.parametrize(
    ("day", "clock", "offset", "says"),
    [
        ("20260301", "085500", "", ""),  # in Berlin, five minutes before receipt
        ("20260301", "0904", "", ""),
        ("20260301", "091000.123", "", "exam clock 10 min after receipt"),
        ("20260301", "120000", "", "exam clock 3 h after receipt"),
        ("20260301", "120000", "+0500", ""),
        ("20260304", "", "", "exam clock 2 days after receipt"),
        ("20260301", "", "", ""),  # some time that day
        ("20260228", "0910", "", ""),
        ("20260228", "0730", "", "exam clock 25 h before receipt"),
        ("19700101", "000000", "", "exam clock 20513 days before receipt"),
        ("2026.03.01", "12", "", "exam clock 3 h after receipt"),
        ("", "120000", "", ""),
        ("20261399", "120000", "", ""),
        ("nonsense", "99", "+9900", ""),
        ("00010101", "000000", "+1400", ""),
    ],
)
def test_an_exam_clock_that_disagrees_is_said(day, clock, offset, says) -> None:
    one = study(StudyDate=day, StudyTime=clock, TimezoneOffsetFromUTC=offset)
    assert clock_disagrees(one, POLICY, BERLIN) == says


def test_how_old_an_exam_may_be_is_the_sites() -> None:
    one = study(StudyDate="20260301", StudyTime="0530")
    assert clock_disagrees(one, POLICY, BERLIN) == ""
    assert clock_disagrees(one, ReadingPolicy(exam_age_max_h=2), BERLIN) == "exam clock 3 h before receipt"


def test_an_hour_alone_is_any_minute_of_it() -> None:
    first, last = exam_time(study(StudyDate="20260301", StudyTime="08"), BERLIN)
    assert (first, last - first) == (datetime(2026, 3, 1, 7, tzinfo=UTC), timedelta(hours=1))
