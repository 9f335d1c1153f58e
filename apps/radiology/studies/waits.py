"""How long a study has waited, against what; and whether the exam's own clock can be right."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo

from apps.radiology.models import SIGNED, Priority, ReadingPolicy, Study

AHEAD = timedelta(minutes=5)  # no modality's clock is better than that
_DAY = timedelta(days=1)
_DA = re.compile(r"(\d{4})\.?(\d\d)\.?(\d\d)")
_TM = re.compile(r"(\d\d):?(\d\d)?:?(\d\d)?(\.\d+)?")
_OFFSET = re.compile(r"([+-])(\d\d)(\d\d)")


@dataclass(frozen=True, slots=True)
class Wait:
    """Since receipt, or since the last film of a signed study. `target` is None once nobody waits."""

    since: datetime
    target: timedelta | None
    over: bool

    @property
    def target_words(self) -> str:
        return span(self.target) if self.target else ""


def targets_of(policy: ReadingPolicy) -> dict[str, timedelta]:
    """By priority."""
    return {
        Priority.STAT: timedelta(minutes=policy.stat_target_min),
        Priority.URGENT: timedelta(minutes=policy.urgent_target_min),
        Priority.ROUTINE: timedelta(minutes=policy.routine_target_min),
    }


def wait_of(study: Study, policy: ReadingPolicy, at: datetime) -> Wait:
    if study.late_films:
        since = study.last_received_at
    elif study.read_state in SIGNED:
        return Wait(study.received_at, None, over=False)
    else:
        since = study.received_at
    target = targets_of(policy)[study.priority]
    return Wait(since, target, over=at - since > target)


def clock_disagrees(study: Study, policy: ReadingPolicy, zone: tzinfo) -> str:
    """In words where the exam says it was made after it was received, or so long before that its clock may be
    wrong; else empty. A date that is none says nothing."""
    exam = exam_time(study, zone)
    if exam is None:
        return ""
    first, last = exam
    if first > study.received_at + AHEAD:
        return f"exam clock {span(first - study.received_at)} after receipt"
    if last < study.received_at - timedelta(hours=policy.exam_age_max_h):
        return f"exam clock {span(study.received_at - last)} before receipt"
    return ""


def exam_time(study: Study, zone: tzinfo) -> tuple[datetime, datetime] | None:
    """The earliest and the latest it may have been: StudyTime may be missing, or only an hour."""
    day, clock = _DA.fullmatch(study.StudyDate.strip()), _TM.fullmatch(study.StudyTime.strip())
    if day is None:
        return None
    hour, minute, second = clock.group(1, 2, 3) if clock else (None, None, None)
    try:
        made = datetime.combine(
            date(int(day[1]), int(day[2]), int(day[3])),
            # A leap second is 60 in DICOM.
            time(int(hour or 0), int(minute or 0), min(int(second or 0), 59)),
            tzinfo=offset_of(study) or zone,
        ).astimezone(UTC)
        return made, made + _width(hour, minute)
    except (ValueError, OverflowError):
        return None


def _width(hour: str | None, minute: str | None) -> timedelta:
    if hour is None:
        return _DAY
    return timedelta(hours=1) if minute is None else timedelta(minutes=1)


def offset_of(study: Study) -> tzinfo | None:
    """Of the study's own times, where its films tell a possible one."""
    found = _OFFSET.fullmatch(study.TimezoneOffsetFromUTC.strip())
    if found is None or int(found[2]) > 14:
        return None
    ahead = timedelta(hours=int(found[2]), minutes=int(found[3]))
    return timezone(-ahead if found[1] == "-" else ahead)


def span(length: timedelta) -> str:
    """In minutes below two hours, in hours below two days, else in days; never less than a minute."""
    minutes = max(1, round(length.total_seconds() / 60))
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} days"
