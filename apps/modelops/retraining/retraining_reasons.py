"""What speaks for training anew, each reason with a key of its own, and when the calendar says so next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import QuerySet

from apps.accounts.models import Site
from apps.core.clock import now
from apps.core.words import counted
from apps.modelops.datasets.news import news_of, own_datasets
from apps.modelops.models import Alarm, DatasetSnapshot, Retraining, RetrainingPolicy
from apps.modelops.registry import domain_named

Calendar = RetrainingPolicy.Calendar
Reason = Retraining.Reason


@dataclass(frozen=True, slots=True)
class Due:
    reason: Retraining.Reason
    key: str
    sentence: str


def due(policy: RetrainingPolicy) -> list[Due]:
    """All that is due now, whether or not it was found before: the key tells."""
    return [*_labels(policy), *_alarms(policy), *_calendar(policy)]


def outdated(policy: RetrainingPolicy) -> Iterator[tuple[QuerySet[Retraining], str]]:
    """What is held back and is no reason any more, with why."""
    held = policy.retrainings.filter(state=Retraining.State.HELD)
    since = _labels_since(own_datasets(policy.site, policy.domain).first())
    frozen = held.filter(reason=Reason.LABELS).exclude(key__startswith=since)
    yield frozen, "A dataset was frozen meanwhile."
    still_open = [_alarm_key(alarm) for alarm in _open_alarms(policy)]
    yield held.filter(reason=Reason.ALARM).exclude(key__in=still_open), "The alarm closed meanwhile."


def zone_of(site: Site) -> ZoneInfo:
    return ZoneInfo(site.time_zone or settings.TIME_ZONE)


def _labels(policy: RetrainingPolicy) -> Iterator[Due]:
    """Each N since the last dataset are one reason: where that came to nothing, the next N are another."""
    news = news_of(policy.site, domain_named(policy.domain))
    if not policy.labels_min or news is None or news.total < policy.labels_min:
        return
    since = f"since {news.since.name}" if news.since else "and nothing was frozen yet"
    key = f"{_labels_since(news.since)}{news.total // policy.labels_min}"
    yield Due(Reason.LABELS, key, f"{counted(news.total, 'new label')} {since}.")


def _labels_since(dataset: DatasetSnapshot | None) -> str:
    """How their keys begin."""
    return f"labels:{dataset.pk if dataset else 0}:"


def _alarms(policy: RetrainingPolicy) -> Iterator[Due]:
    for alarm in _open_alarms(policy):
        yield Due(Reason.ALARM, _alarm_key(alarm), f"An alarm: {alarm.sentence}")


def _open_alarms(policy: RetrainingPolicy) -> QuerySet[Alarm]:
    """Of the measures it names, since it was set."""
    found = Alarm.objects.filter(site=policy.site, domain=policy.domain, measure__in=policy.alarms)
    return found.filter(closed_at=None, opened_at__gt=policy.at).order_by("opened_at", "pk")


def _alarm_key(alarm: Alarm) -> str:
    return f"alarm:{alarm.pk}"


def _calendar(policy: RetrainingPolicy) -> Iterator[Due]:
    """The last time that fell due; those missed before it are not made up for."""
    at = last_time(policy, now())
    if at is not None and at > policy.at:
        yield Due(Reason.CALENDAR, f"calendar:{at:%Y-%m-%d}", f"The calendar: {at:%A, %Y-%m-%d %H:%M}.")


def last_time(policy: RetrainingPolicy, moment: datetime) -> datetime | None:
    """The latest time of the calendar up to this moment, by the site's clock; None without a calendar."""
    return max((one for one in _around(policy, moment) if one <= moment), default=None)


def next_time(policy: RetrainingPolicy, moment: datetime) -> datetime | None:
    return min((one for one in _around(policy, moment) if one > moment), default=None)


def _around(policy: RetrainingPolicy, moment: datetime) -> Iterator[datetime]:
    """Every time of the calendar within 32 days of the moment: more than a month on either side."""
    zone = zone_of(policy.site)
    today = moment.astimezone(zone).date()
    for days in range(-32, 33):
        day = today + timedelta(days=days)
        weekly = policy.calendar == Calendar.WEEKLY and day.weekday() == policy.weekday
        monthly = policy.calendar == Calendar.MONTHLY and day.day == policy.day
        if weekly or monthly:
            yield datetime.combine(day, time(policy.hour), tzinfo=zone)
