"""How the fraud model does here, as its watcher sees it: by what became known, by its inputs, by its pace."""

from __future__ import annotations

from datetime import timedelta

import pytest

from apps.core.clock import now
from apps.fraud.lifecycle.model_watch import reliability
from apps.fraud.models import Decision, Evidence, HourlyCount
from apps.fraud.watch import drift
from apps.fraud.watch.services import counts
from apps.modelops.models import Alarm, WatchReading
from apps.modelops.tasks import watch
from tests.fraud.conftest import drain_all, event
from tests.fraud.test_counts import FRAUD, LEGITIMATE, REVIEWED, age, say, settle

pytestmark = pytest.mark.decision


@pytest.fixture
def payments(champion, post):
    """Payments that the model scored."""

    def make(n: int, prefix: str = "a", **changes) -> None:
        post([event(f"{prefix}{i}", card_token=f"card-{prefix}{i % 40}", **changes) for i in range(n)])
        drain_all()

    return make


def seen() -> dict[str, WatchReading]:
    counts.count_due()
    watch("fraud")
    return {one.measure: one for one in WatchReading.objects.order_by("measure")}


def test_what_analysts_said_of_its_alerts_is_its_precision(payments, source) -> None:
    payments(4, "r", amount_minor=REVIEWED)
    for name, said in (("r0", FRAUD), ("r1", LEGITIMATE), ("r2", LEGITIMATE)):
        settle(name, said)
    told = seen()["precision"]
    assert (told.value, told.n) == (None, 3)
    assert told.says == "Too few to say: 3 of the 30 that it takes."
    Decision.objects.update(artefact_hash="1" * 64)
    assert seen()["precision"].says == "No alert of this version was called fraud or legitimate."


def test_matured_payments_say_how_good_it_is(payments, champion, source) -> None:
    champion.metrics = {"test": {"auc": 0.99, "brier": 0.0001}}
    champion.save()
    payments(60)
    for i in range(25):
        say(source, f"a{i}", fraud=True)
    assert seen()["auc"].says == "No payment that this version decided is older than 60 days."
    age(24 * 70)
    found = seen()
    assert found["auc"].n == 25
    assert found["auc"].low <= found["auc"].value <= found["auc"].high
    assert found["auc"].says == "60 payments, 25 of them fraud; 0 declined and unknown"
    assert "60 of the 1000" in found["brier"].says
    assert Alarm.objects.filter(closed_at=None, measure="auc").exists()
    assert reliability(champion.dataset.site, champion) == []
    # Of what was declined nobody knows what it was: no good payment.
    Decision.objects.filter(transaction__event_id__in=["a0", "a50", "a51"]).update(outcome="decline")
    assert seen()["auc"].says == "58 payments, 25 of them fraud; 2 declined and unknown"


def test_inputs_that_moved_open_an_alarm(payments, monkeypatch) -> None:
    assert seen() == {}
    payments(210, amount_minor=9_999_900)
    found = seen()
    assert found["input_drift"].value > 0.1
    assert "of" in found["input_drift"].says
    assert found["score_drift"].n == 210
    assert Alarm.objects.filter(measure="input_drift", closed_at=None).exists()
    Evidence.objects.all().delete()
    monkeypatch.setattr(drift, "ENOUGH", 10_000)
    assert (seen()["input_drift"].value, Alarm.objects.filter(closed_at=None).exists()) == (None, True)


def test_volume_latency_degraded_and_cost(payments, site, monkeypatch) -> None:
    payments(110)
    found = seen()
    assert (found["degraded"].value, found["degraded"].n) == (0.0, 110)
    assert found["latency"].value > 0
    assert found["cost"].value > 0
    assert found["volume"].says == "Payments came in on fewer than 4 such days."
    zeros = dict.fromkeys(("amount_minor", "alerts", "deadline_hits", "late", "too_old"), 0)
    hour = counts.hour_of(now())
    for week in range(1, 5):
        HourlyCount.objects.create(
            site=site,
            hour=hour - timedelta(weeks=week, hours=3),
            outcome="approve",
            mode="full",
            n=500,
            **zeros,
        )
    told = seen()["volume"]
    assert told.value is not None
    assert told.says.endswith("usually 500")
    # What the version costs is measured once.
    monkeypatch.delattr("ml.fraud.speed.measure_speed")
    assert seen()["cost"].value == found["cost"].value
