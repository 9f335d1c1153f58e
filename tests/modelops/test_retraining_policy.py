"""What a policy may say, its alarms, and its calendar by the site's clock."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from apps.core.clock import now
from apps.modelops.models import Retraining, RetrainingPolicy, TrainingJob
from apps.modelops.retraining import retraining_reasons
from apps.modelops.watch.services.alarms import close_alarm, open_alarm
from tests.modelops.test_retraining import URL, end, frozen, keep, look, policy, told  # noqa: F401


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"labels_min": ""}, "Say what is to start it"),
        ({"labels_min": "3"}, "greater than or equal to 10"),
        ({"day": "31"}, "less than or equal to 28"),
        ({"min_days": "0"}, "greater than or equal to 1"),
        ({"preset": "huge"}, "not one of the available choices"),
        ({"includes": []}, "Choose what its datasets are to hold"),
    ],
)
def test_what_no_policy_says(admin, dataset, changed, says) -> None:
    answer = keep(admin, **changed)
    assert answer.status_code == 422
    assert says in answer.content.decode()
    assert not RetrainingPolicy.objects.exists()


# Alarms


def sound(version, measure: str):
    said = {"value": 0.4, "limit": 0.2, "sentence": f"{measure} is 0.4, above the limit of 0.2."}
    return open_alarm(site=version.dataset.site, domain="testing", measure=measure, version=version, **said)


def test_an_alarm_of_a_measure_it_names_starts_it_once(admin, make_version, site) -> None:
    version = make_version()
    sound(version, "drift")  # before the policy was set
    keep(admin, labels_min="", alarms=["drift", "auc"])
    sound(version, "latency")
    look()
    assert told() == []
    alarm = sound(version, "auc")
    look()
    assert told() == [("alarm", "freezing", "")]
    assert Retraining.objects.get().sentence == "An alarm: auc is 0.4, above the limit of 0.2."
    frozen()
    look()
    end(TrainingJob.objects.latest("pk"))
    Retraining.objects.update(began_at=now() - timedelta(days=30))
    look()
    close_alarm(alarm, value=0.1)
    look()
    assert told() == [("alarm", "started", "")]


def test_an_alarm_that_closes_while_it_is_held_back_is_no_reason(admin, make_version, make_job) -> None:
    version = make_version()
    keep(admin, labels_min="", alarms=["drift"])
    make_job()
    alarm = sound(version, "drift")
    look()
    assert told()[0][:2] == ("alarm", "held")
    close_alarm(alarm, value=0.1)
    look()
    assert told() == [("alarm", "skipped", "The alarm closed meanwhile.")]


# The calendar, by the site's clock


def at(text: str, zone: str = "UTC") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


@pytest.mark.parametrize(
    ("calendar", "moment", "last", "following"),
    [
        ("weekly", "2026-11-26 12:00", "2026-11-23 02:00", "2026-11-30 02:00"),
        ("weekly", "2026-11-30 02:00", "2026-11-30 02:00", "2026-12-07 02:00"),
        ("monthly", "2026-11-26 12:00", "2026-11-01 02:00", "2026-12-01 02:00"),
        ("monthly", "2026-12-01 01:59", "2026-11-01 02:00", "2026-12-01 02:00"),
        ("weekly", "2026-10-26 01:30", "2026-10-19 02:00", "2026-10-26 02:00"),  # the clock went back
        ("", "2026-11-26 12:00", None, None),
    ],
)
def test_the_calendar_goes_by_the_sites_clock(site, calendar, moment, last, following) -> None:
    zone = site.time_zone = "Europe/Berlin"
    kept = RetrainingPolicy(site=site, calendar=calendar, weekday=0, day=1, hour=2)
    asked = at(moment, zone)
    assert retraining_reasons.last_time(kept, asked) == (at(last, zone) if last else None)
    assert retraining_reasons.next_time(kept, asked) == (at(following, zone) if following else None)


def test_the_calendar_starts_once_and_not_for_a_time_before_it_was_set(policy, admin) -> None:  # noqa: F811
    yesterday = now() - timedelta(days=1)
    keep(admin, labels_min="", calendar="weekly", weekday=str(yesterday.weekday()), hour="0")
    assert "Next by the calendar" in admin.get(URL).content.decode()
    look()
    assert told() == []
    RetrainingPolicy.objects.update(at=now() - timedelta(days=3))
    look()
    look()
    assert [one[:2] for one in told()] == [("calendar", "freezing")]
    assert Retraining.objects.get().sentence.startswith(f"The calendar: {yesterday:%A}")
