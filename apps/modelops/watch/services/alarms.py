"""Alarms open once, close by themselves, and are acknowledged by a person."""

from __future__ import annotations

import structlog
from django.db import IntegrityError, transaction

from apps.accounts.models import Site, User
from apps.audit.services import record
from apps.core.bell import ring
from apps.core.clock import now
from apps.modelops.models import Alarm, AlarmNews, AlarmReceiver, ModelVersion

log = structlog.get_logger(__name__)
DELIVER = "modelops.deliver_alarms"


def open_alarm(
    *, site: Site, domain: str, measure: str, version: ModelVersion, value: float, limit: float, sentence: str
) -> Alarm | None:
    """The alarm, or None where one of this site, domain and measure is open already."""
    try:
        with transaction.atomic():
            alarm = Alarm.objects.create(
                site=site, domain=domain, measure=measure, version=version, value=value, limit=limit,
                sentence=sentence[:300], opened_at=now(),
            )  # fmt: skip
            _tell(alarm, AlarmNews.Topic.OPENED, value)
    except IntegrityError:
        if open_alarm_of(site, domain, measure) is None:
            raise
        return None
    return alarm


def close_alarm(alarm: Alarm, *, value: float | None) -> bool:
    """False where it was closed before. `value` is what the measure is now, None where nobody knows."""
    with transaction.atomic():
        at = now()
        if not Alarm.objects.filter(pk=alarm.pk, closed_at=None).update(closed_at=at, closed_value=value):
            return False
        alarm.closed_at, alarm.closed_value = at, value
        _tell(alarm, AlarmNews.Topic.CLOSED, value)
    return True


def acknowledge(alarm: Alarm, *, by: User) -> bool:
    """False where somebody did so before: the first stands."""
    with transaction.atomic():
        free = Alarm.objects.filter(pk=alarm.pk, acknowledged_at=None)
        if not free.update(acknowledged_by=by, acknowledged_at=now()):
            return False
        record("alarm.acknowledged", site=alarm.site, actor=by, subject=f"alarm:{alarm.pk}")
    return True


def open_alarm_of(site: Site, domain: str, measure: str) -> Alarm | None:
    return Alarm.objects.filter(site=site, domain=domain, measure=measure, closed_at=None).first()


def open_alarms_of(site: Site, domain: str) -> dict[str, Alarm]:
    """By measure."""
    found = Alarm.objects.filter(site=site, domain=domain, closed_at=None).order_by("measure")
    return {one.measure: one for one in found}


def _tell(alarm: Alarm, topic: AlarmNews.Topic, value: float | None) -> None:
    """The audit, the log, and whoever the site wants told: all of it with the alarm, or nothing."""
    detail = {"domain": alarm.domain, "measure": alarm.measure, "value": value, "limit": alarm.limit}
    record(str(topic), site=alarm.site, actor=None, subject=f"alarm:{alarm.pk}", detail=detail)
    if AlarmReceiver.objects.filter(site=alarm.site).exists():
        AlarmNews.objects.create(alarm=alarm, topic=topic, due_at=now())
        ring(DELIVER)
    event = "alarm_opened" if topic == AlarmNews.Topic.OPENED else "alarm_closed"
    said = {"alarm": alarm.pk, "site": alarm.site.slug, "version": alarm.version_id, **detail}
    transaction.on_commit(lambda: log.warning(event, **said))
