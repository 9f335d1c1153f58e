"""The watch page: the last look, courses, alarms and who acknowledged them, limits, the receiver."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from standardwebhooks import Webhook

from apps.audit.models import AuditEvent
from apps.core import destinations
from apps.core.clock import now
from apps.modelops.common.watched import Fact
from apps.modelops.models import Alarm, AlarmNews, WatchReading
from apps.modelops.tasks import deliver_alarms
from apps.modelops.watch.services.alarm_news import ring_due
from apps.modelops.watch.watching import pooled
from tests.fraud.listener import Listener
from tests.modelops.domain import watcher
from tests.modelops.test_watch import drift, look

PAGE = "/models/testing/watch/"


@pytest.fixture
def listener(settings) -> Iterator[Listener]:
    heard = Listener()
    settings.LYNCEUS_WEBHOOK_ALLOW = [ipaddress.ip_network("127.0.0.0/8")]
    yield heard
    heard.server.shutdown()
    heard.server.server_close()


def page_of(client: Client, address: str = PAGE) -> str:
    return " ".join(client.get(address).content.decode().split())


def test_it_works(site, admin, serving) -> None:
    assert "Nothing is known yet" in page_of(admin)
    [alarm] = look(site, drift(0.312, low=0.25, high=0.4), Fact("auc", 0.8, 12, says="by 12"))
    page = page_of(admin)
    for text in (
        f"version {serving.number}</a> does at", "31.2 %", "25.0 % to 40.0 %", "above 20.0 %",
        "Too few to say: 12 of the 20", "1 open", alarm.sentence, "Drift of version", "Calibration",
    ):  # fmt: skip
        assert text in page, text
    assert "1 alarm" in page_of(admin, "/models/")  # in the top bar
    assert admin.post(reverse("modelops:acknowledge_alarm", args=[alarm.pk])).status_code == 302
    assert "acknowledged by Ada North" in page_of(admin)
    assert "1 alarm" not in page_of(admin, "/models/")
    look(site, drift(0.1))
    assert "none open" in page_of(admin)


def test_charts_have_the_course_its_limit_and_what_is_known(site, admin, serving, monkeypatch) -> None:
    look(site, drift(0.1, low=0.05, high=0.12), Fact("auc", 0.8, 30, reference=0.82))
    WatchReading.objects.update(hour=now() - timedelta(hours=5), at=now() - timedelta(hours=5))
    look(site, drift(0.15), Fact("auc", 0.8, 30, reference=0.82))
    told = admin.get(f"{PAGE}drift.json").json()
    here, limit = told["series"]
    assert [value for _, value in here["points"]] == [10.0, 15.0]
    assert [row[1:] for row in here["band"]] == [[5.0, 12.0]]
    assert ([value for _, value in limit["points"]], limit["dashed"]) == ([20.0, 20.0], True)
    assert told["y"] == {"name": "Drift", "unit": "%"}
    names = {one["name"]: one["points"][0][1] for one in admin.get(f"{PAGE}auc.json").json()["series"]}
    assert names == {"here": 0.8, "limit": 0.77, "its test": 0.82}
    assert admin.get(f"{PAGE}reliability.json").json()["series"][0]["points"] == [[0.1, 0.12], [0.8, 0.7]]
    monkeypatch.setattr(watcher, "reliability", lambda *of: [])
    assert admin.get(f"{PAGE}reliability.json").json()["series"] == []
    assert admin.get(f"{PAGE}latency.json").json()["series"] == []
    assert admin.get(f"{PAGE}unheard-of.json").status_code == 404
    assert admin.get("/models/unheard-of/watch/").status_code == 404


def test_the_tests_own_bins_are_pooled_over_findings() -> None:
    one = {"reliability": [[0.1, 0.0, 0.0, 0.1, 50.0], [0.9, 1.0, 0.9, 1.0, 50.0]]}
    other = {"reliability": [[0.1, 0.2, 0.1, 0.3, 50.0], [0.5, 0.5, 0.4, 0.6, 350.0]]}
    found = pooled({"Effusion": one, "Nodule": other})
    assert [row[:2] for row in found] == [[0.1, 0.0], [0.1, 0.2], [0.5, 0.5], [0.9, 1.0]]
    assert sum(row[-1] for row in found) == 500
    fine = {"reliability": [[p / 100, p / 100, 0.0, 1.0, 5.0] for p in range(100)]}
    assert (len(pooled({"Mass": fine})), pooled({})) == (10, [])


def test_limits_are_set_in_the_units_people_read(site, admin, serving) -> None:
    assert 'name="limit-drift" value="20.0"' in page_of(admin).replace('type="number" ', "")
    given = {"limit-drift": "45", "limit-latency": ""}
    assert admin.post(PAGE, given).status_code == 302
    assert look(site, drift(0.4), Fact("latency", 99.0, 5)) == []
    event = AuditEvent.objects.get(action="alarm.limits_set")
    assert event.detail == {"domain": "testing", "before": {"drift": 0.2}, "after": {"drift": 0.45}}
    for bad in ("101", "-1", "nan", "much"):
        assert admin.post(PAGE, {"limit-drift": bad}).status_code == 422
    assert look(site, drift(0.4)) == []


def test_another_site_sees_and_acknowledges_nothing_of_it(site, stranger, serving) -> None:
    [alarm] = look(site, drift(0.3))
    assert alarm.sentence not in page_of(stranger)
    assert stranger.get(f"{PAGE}drift.json").json()["series"] == []
    assert stranger.post(reverse("modelops:acknowledge_alarm", args=[alarm.pk])).status_code == 404
    stranger.post(PAGE, {"limit-drift": "90"})
    assert look(site, drift(0.3)) == [alarm]
    assert Alarm.objects.get().acknowledged_by is None


def receiver_set(admin: Client, url: str) -> str:
    """The secret, as the page shows it."""
    page = admin.post("/models/alarms/receiver/", {"url": url}).content.decode()
    [secret] = re.findall(r"whsec_[A-Za-z0-9+/=]+", page)
    return secret


def test_an_alarm_is_sent_signed_until_it_is_taken(site, admin, serving, listener) -> None:
    secret = receiver_set(admin, listener.url)
    assert secret not in page_of(admin)
    listener.answers = [500, 200]
    [alarm] = look(site, drift(0.3))
    deliver_alarms()
    assert AlarmNews.objects.get().due_at > now()
    assert ring_due() == 0
    AlarmNews.objects.update(due_at=now())
    assert ring_due() == 1
    deliver_alarms()
    deliver_alarms()
    look(site, drift(0.1))
    deliver_alarms()
    told = [Webhook(secret).verify(body, headers) for headers, body in listener.heard]
    assert [one["type"] for one in told] == ["alarm.opened", "alarm.opened", "alarm.closed"]
    assert told[0] == told[1]
    assert told[0]["data"] == {
        "alarm": alarm.pk, "site": site.slug, "domain": "testing", "measure": "drift",
        "version": serving.number, "limit": 0.2, "value": 0.3, "sentence": alarm.sentence,
    }  # fmt: skip
    assert len({headers["webhook-id"] for headers, _ in listener.heard}) == 2
    assert "taken" in page_of(admin)
    assert secret not in json.dumps(list(AuditEvent.objects.values_list("detail", flat=True)))


def test_nothing_is_sent_to_a_private_address(site, admin, serving, listener, settings, monkeypatch) -> None:
    settings.LYNCEUS_WEBHOOK_ALLOW = []
    receiver_set(admin, listener.url)
    look(site, drift(0.3))
    deliver_alarms()
    assert (listener.heard, AlarmNews.objects.get().error) == ([], "private_address")
    assert "private_address" in page_of(admin)
    monkeypatch.setattr(destinations, "_is_allowed", lambda address: True)  # sabotage
    AlarmNews.objects.update(due_at=now())
    deliver_alarms()
    assert len(listener.heard) == 1


def test_without_a_receiver_nothing_waits_and_one_can_be_taken_back(site, admin, serving) -> None:
    look(site, drift(0.3))
    assert not AlarmNews.objects.exists()
    assert admin.post("/models/alarms/receiver/", {"url": "javascript:x"}).status_code == 422
    receiver_set(admin, "https://hooks.example/")
    look(site, drift(0.1))
    assert admin.post("/models/alarms/receiver/", {"stop": "1"}).status_code == 302
    row = AlarmNews.objects.get()
    assert (row.error, row.dead_at is not None, ring_due()) == ("no_receiver", True, 0)
