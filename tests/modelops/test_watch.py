"""The version in service is looked at again and again: what is read is kept, alarms open and close by it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from apps.accounts.models import Site
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.modelops.common import watched
from apps.modelops.common.watched import Fact
from apps.modelops.models import Alarm, WatchReading, WatchRound
from apps.modelops.registry import domain_named
from apps.modelops.tasks import watch
from apps.modelops.watch.services import watch as service
from apps.modelops.watch.services.watch import limits_of, ring_for_watch, set_limits
from tests.modelops.domain import watcher
from tests.promoting import put_in_service


def look(site: Site, *facts: Fact) -> list[Alarm]:
    """One look at the site; the alarms that are open after it."""
    watcher.FACTS[site.slug] = list(facts)
    watch("testing")
    return list(Alarm.objects.filter(closed_at=None).order_by("pk"))


def drift(value: float, n: int = 100, **more: float) -> Fact:
    return Fact("drift", value, n, **more)


def test_it_works(site, serving) -> None:
    [alarm] = look(site, drift(0.312, low=0.25, high=0.4), Fact("auc", 0.8, 30, 0.75, 0.85, 0.82))
    assert (alarm.measure, alarm.version, alarm.value, alarm.limit) == ("drift", serving, 0.312, 0.2)
    assert alarm.sentence == (
        f"Drift of version {serving.number} is 31.2 % (25.0 % to 40.0 %), above the limit of 20.0 %."
    )
    kept = WatchReading.objects.get(measure="auc")
    assert (kept.value, kept.low, kept.high, kept.n, kept.reference) == (0.8, 0.75, 0.85, 30, 0.82)
    assert look(site, drift(0.1)) == []
    assert Alarm.objects.get().closed_value == 0.1
    assert WatchReading.objects.filter(measure="drift").count() == 1  # the last look stands for its hour


def test_an_alarm_is_not_opened_twice(site, serving) -> None:
    first = look(site, drift(0.3))
    assert look(site, drift(0.35)) == first
    assert Alarm.objects.count() == 1


def test_it_closes_only_well_within_the_limit(site, serving, monkeypatch) -> None:
    look(site, drift(0.3))
    assert look(site, drift(0.19))
    monkeypatch.setattr(watched, "HYSTERESIS", 0.0)  # sabotage: it would flutter
    assert not look(site, drift(0.19))


def test_without_enough_nothing_is_claimed_and_nothing_closed(site, serving, monkeypatch) -> None:
    assert look(site, drift(0.9, n=49)) == []
    kept = WatchReading.objects.get(measure="drift")
    assert (kept.value, kept.says) == (None, "Too few to say: 49 of the 50 that it takes.")
    assert look(site, drift(0.9))
    assert look(site, drift(0.0, n=3))
    Alarm.objects.all().delete()
    monkeypatch.setattr(service, "claimed", lambda measure, fact: fact)  # sabotage
    assert look(site, drift(0.9, n=49))


def test_what_may_be_chance_opens_nothing(site, serving) -> None:
    assert look(site, drift(0.3, low=0.15, high=0.5)) == []


def test_performance_is_held_against_the_versions_own_test(site, serving) -> None:
    assert look(site, Fact("auc", 0.7, 30, 0.6, 0.72)) == []  # its test is not known: worse than what?
    [alarm] = look(site, Fact("auc", 0.7, 30, 0.6, 0.72, reference=0.8))
    assert alarm.limit == 0.75
    assert alarm.sentence.endswith("below the limit of 0.750; its own test had 0.800.")
    assert look(site, Fact("auc", 0.752, 30, reference=0.8))
    assert not look(site, Fact("auc", 0.756, 30, reference=0.8))


def test_another_version_in_service_closes_what_the_last_one_raised(site, serving, make_version) -> None:
    [old] = look(site, drift(0.3))
    newer = make_version(how="deaf")
    put_in_service(newer)
    [new] = look(site, drift(0.3))
    assert (new.version, new.pk != old.pk) == (newer, True)


def test_each_site_has_its_own_and_one_that_fails_hides_no_other(site, serving) -> None:
    south = Site.objects.create(slug="south", name="South")
    watcher.FACTS[south.slug] = [drift(0.4)]
    [alarm] = look(site, Fact("unheard of", 1.0, 100))
    assert alarm.site == south
    watcher.FACTS[south.slug] = [Fact("drift", None)]
    look(site, drift(0.1))
    assert WatchReading.objects.filter(site=south).count() == 1  # of nothing at all nothing is kept


def test_limits_are_the_sites_own_within_their_range(site, serving, make_user) -> None:
    ada, domain = make_user("ml_admin"), domain_named("testing")
    assert limits_of(site, domain) == {"drift": 0.2, "auc": 0.05, "latency": None}
    assert set_limits(site=site, domain=domain, limits={"drift": 0.5, "latency": 10.0}, by=ada)
    assert not set_limits(site=site, domain=domain, limits={"drift": 0.5}, by=ada)
    assert look(site, drift(0.4)) == []
    assert len(look(site, Fact("latency", 11.0, 5))) == 1
    set_limits(site=site, domain=domain, limits={"latency": None}, by=ada)
    assert look(site, Fact("latency", 11.0, 5)) == []
    for bad in ({"drift": 1.5}, {"latency": float("nan")}, {"unheard of": 0.1}):
        with pytest.raises(LynceusError, match="cannot be"):
            set_limits(site=site, domain=domain, limits=bad, by=ada)


def test_a_domain_is_rung_for_once_in_ten_minutes(serving, monkeypatch) -> None:
    rung: list[tuple[str, ...]] = []
    monkeypatch.setattr(service, "ring", lambda *said: rung.append(said))
    assert (ring_for_watch(), ring_for_watch()) == (1, 0)
    WatchRound.objects.update(due_at=now() - timedelta(seconds=1))
    ring_for_watch()
    assert rung == [("modelops.watch", "testing")] * 2
