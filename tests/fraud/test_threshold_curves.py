"""What thresholds come to: on held-out days, on days in service whose labels are final, week by week."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.test import Client

from apps.core.clock import now
from apps.fraud.common.recent import MATURE, final_days, recent_scores, weeks
from apps.fraud.models import Decision, FraudLabel, Transaction
from apps.fraud.rules.operating import held_by
from apps.fraud.tuning.operating_curves import weekly
from ml.fraud.contracts import Thresholds
from ml.fraud.curves import threshold_curve
from ml.fraud.heldout import HeldOut
from ml.fraud.operating import Costs, consequence
from tests.fraud.conftest import drain_all, event


@pytest.fixture
def admin(client: Client, make_user) -> Client:
    client.force_login(make_user("ml_admin"))
    return client


def table(scores: list[float], labels: list[int], amounts: list[int], days: int = 1) -> HeldOut:
    fraud = np.array(labels) == 1
    return HeldOut(
        np.array(scores, np.float32), np.array(labels, np.int8), np.array(amounts, np.int64),
        np.zeros(len(scores), np.int16), np.ones(len(scores), np.float32),
        np.array([len(scores)] + [0] * (days - 1), np.float64),
        np.array([fraud.sum()] + [0] * (days - 1), np.float64),
        np.array([np.array(amounts)[fraud].sum()] + [0] * (days - 1), np.float64), np.array([0], np.int64),
    )  # fmt: skip


def test_a_curve_by_hand() -> None:
    """Fraud, unknown, good, fraud, by falling score; a look costs 10, saves half; declines from 0.85 all."""
    few = table([0.9, 0.8, 0.7, 0.6], [1, -1, 0, 1], [1000, 50, 500, 200], days=2)
    costs = Costs(review_minor=10, review_saves=0.5, decline_saves=1.0, good_decline_minor=100)
    curve = threshold_curve(few, costs, decline=0.85)
    assert curve.thresholds == pytest.approx([0.9, 0.8, 0.7, 0.6])
    assert curve.precision == pytest.approx([1, 1, 0.5, 2 / 3])
    assert curve.recall == pytest.approx([0.5, 0.5, 0.5, 1])
    assert curve.value_recall == pytest.approx([1000 / 1200] * 3 + [1])
    assert curve.alerts_per_day == pytest.approx([0.5, 1, 1.5, 2])
    assert curve.saved_minor_per_day == pytest.approx([500, 500, 500, 550])
    assert curve.lost_minor_per_day == pytest.approx([105, 110, 115, 70])
    assert threshold_curve(few, costs, 0.85, scale=3).alerts_per_day == pytest.approx([1.5, 3, 4.5, 6])


def test_it_agrees_with_the_consequence_that_is_shown(champion) -> None:
    held = held_by(champion.artefact_hash)
    curve = threshold_curve(held.table, Costs(), held.trained.decline)
    places = np.flatnonzero(curve.thresholds <= held.trained.decline)[::10]
    assert len(places) > 2
    for at in places:
        review = float(curve.thresholds[at])
        shown = consequence(held.table, Thresholds(review, held.trained.decline), Costs()).estimates
        assert curve.recall[at] == pytest.approx(shown["recall"].value)
        assert curve.alerts_per_day[at] == pytest.approx(shown["alerts_per_day"].value)
        assert curve.lost_minor_per_day[at] == pytest.approx(shown["cost_minor_per_day"].value)


def test_equal_scores_stay_together() -> None:
    curve = threshold_curve(table([0.9, 0.9, 0.5], [1, 0, 0], [1, 1, 1]), Costs(), 1.0)
    assert curve.alerts_per_day.tolist() == [2, 3]


@pytest.fixture
def in_service(champion, post) -> dict[str, Decision]:
    """Payments of 61 to 63 days ago, final, and of a week ago, not."""
    ages = {"fraud": 63.5, "silent": 63.2, "stopped": 62.5, "late": 61.0, "fresh": 7.5, "fresh-fraud": 7.2}
    for name in ages:
        post(event(name, card_token=f"card-{name}"))
    drain_all()
    for name, days in ages.items():
        at = now() - timedelta(days=days)
        Transaction.objects.filter(event_id=name).update(occurred_at=at)
        made = Decision.objects.filter(transaction__event_id=name)
        made.update(decided_at=at, outcome="decline" if name == "stopped" else "approve", score=0.4)
    for name in ("fraud", "fresh-fraud"):
        row = Transaction.objects.get(event_id=name)
        FraudLabel.objects.create(
            transaction=row, fraud=True, source="issuer", known_at=now(),
            received_at=row.occurred_at + timedelta(days=12),
        )  # fmt: skip
    return {one.transaction.event_id: one for one in Decision.objects.select_related("transaction")}


def label(site: Any, champion: Any) -> list[int]:
    return recent_scores(site, champion.artefact_hash).labels.tolist()


def test_silence_is_good_only_of_what_passed_and_is_old_enough(site, champion, in_service) -> None:
    """In their order: fraud, silent, stopped, late, fresh, fresh-fraud."""
    assert label(site, champion) == [1, 0, -1, 0, -1, 1]
    final = final_days(recent_scores(site, champion.artefact_hash))
    assert final is not None
    assert (final.n_days, len(final.scores), final.frauds_of_day.sum()) == (3, 4, 1)


def test_of_another_version_or_site_nothing(site, champion, in_service) -> None:
    Decision.objects.update(artefact_hash="0" * 64)
    assert label(site, champion) == []
    assert weeks(recent_scores(site, champion.artefact_hash), 0.1) == []


def test_recent_weeks_are_said_not_to_be_final(admin, site, champion, in_service) -> None:
    found = weeks(recent_scores(site, champion.artefact_hash), 0.3)
    assert [week.final for week in found if week.payments] == [True, False, False]
    assert found[0].precision == 0.5
    assert (found[0].recall, found[-2].recall) == (1.0, 1.0)
    drawn = admin.get(f"/fraud/operating/{champion.pk}/weeks.json").json()
    names = {series["name"]: series for series in drawn["series"]}
    assert names["recall, not final"]["light"] and not names["recall"]["light"]
    assert drawn["shade"]["name"] == "not final"
    page = admin.get(f"/fraud/operating/{champion.pk}/").content.decode()
    assert "Half of the frauds here are known after 12 days" in page
    assert page.count(">not final</td>") == sum(not week.final for week in found)


def test_all_final_has_no_hatched_ground() -> None:
    assert weekly([])["shade"] is None


def test_the_charts_have_both_sources_and_lines_to_drag(admin, site, champion, in_service) -> None:
    for name, lines in {"rates": 2, "alerts": 1, "money": 2}.items():
        drawn = admin.get(f"/fraud/operating/{champion.pk}/{name}.json").json()
        assert [series["dashed"] for series in drawn["series"]] == [False] * lines + [True] * lines
        assert {line["input"] for line in drawn["lines"]} == {"id_review", "id_decline"}
        xs = [x for x, _ in drawn["series"][0]["points"]]
        assert xs == sorted(xs)
    assert admin.get(f"/fraud/operating/{champion.pk}/other.json").status_code == 404


def test_before_anything_is_final_the_held_out_days_stand_alone(admin, champion, post) -> None:
    post(event())
    drain_all()
    drawn = admin.get(f"/fraud/operating/{champion.pk}/rates.json").json()
    assert [series["name"] for series in drawn["series"]] == ["precision, held out", "recall, held out"]
    assert timedelta(days=60) == MATURE


def test_a_large_site_is_sampled_evenly(site, champion, in_service, monkeypatch) -> None:
    monkeypatch.setattr("apps.fraud.common.recent.SAMPLE", 3)
    found = recent_scores(site, champion.artefact_hash)
    assert (found.scale, len(found.at_us)) == (2, 3)
