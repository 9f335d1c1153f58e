"""An alarm opens once, closes once, and the first who acknowledges it stands."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction
from structlog.testing import capture_logs

from apps.audit.models import AuditEvent
from apps.modelops.models import Alarm
from apps.modelops.watch.services import alarms
from apps.modelops.watch.services.alarms import acknowledge, close_alarm, open_alarm

SAID = {"value": 0.2, "limit": 0.1, "sentence": "Drift is 0.2, beyond 0.1."}


@pytest.fixture
def sound(site, make_version):
    version = make_version()
    return lambda measure="drift": open_alarm(
        site=site, domain="testing", measure=measure, version=version, **SAID
    )


def test_it_works(sound, make_user, django_capture_on_commit_callbacks) -> None:
    with capture_logs() as lines, django_capture_on_commit_callbacks(execute=True):
        alarm = sound()
        assert close_alarm(alarm, value=0.05)
    assert [(one["event"], one["measure"]) for one in lines if "alarm" in one] == [
        ("alarm_opened", "drift"), ("alarm_closed", "drift"),
    ]  # fmt: skip
    ada, bo = make_user("ml_admin"), make_user("ml_admin", email="bo@example.org")
    assert acknowledge(alarm, by=ada)
    assert not acknowledge(alarm, by=bo)
    kept = Alarm.objects.get()
    assert (kept.acknowledged_by, kept.closed_value, kept.is_open) == (ada, 0.05, False)
    told = AuditEvent.objects.filter(action__startswith="alarm.").order_by("pk")
    assert [one.action for one in told] == ["alarm.opened", "alarm.closed", "alarm.acknowledged"]


def test_an_alarm_is_not_opened_twice_and_not_closed_twice(sound) -> None:
    alarm = sound()
    assert sound() is None
    assert sound("latency") is not None
    assert close_alarm(alarm, value=0.0)
    assert not close_alarm(alarm, value=0.0)
    assert sound() is not None
    assert AuditEvent.objects.filter(action="alarm.opened").count() == 3


def test_the_database_alone_keeps_it_to_one(sound, monkeypatch) -> None:
    """Without the look at what is open, a second one is an error and no second alarm."""
    sound()
    monkeypatch.setattr(alarms, "open_alarm_of", lambda *of: None)
    with pytest.raises(IntegrityError), transaction.atomic():
        sound()
    assert Alarm.objects.count() == 1
