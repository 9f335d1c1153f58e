"""Freeze, decide more, freeze again: what tested or gated the first time never teaches the second time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from django.core.management import call_command

from apps.fraud.lifecycle.label_news import label_news
from apps.fraud.lifecycle.services.datasets import freeze_payments
from apps.modelops.common.places import dataset_folder
from apps.modelops.models import DatasetSnapshot, HeldOutPeriod
from ml.fraud.importing import freeze_frame, load_frozen
from ml.fraud.joining import joined
from ml.fraud.simulator import simulate
from tests.fraud.test_freeze_decided import decided, elsewhere, freeze, label

pytestmark = pytest.mark.decision
__all__ = ["decided", "elsewhere"]


@pytest.fixture(scope="module")
def year() -> pd.DataFrame:
    """Payments of a hundred days."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return simulate(n_customers=20, n_terminals=20, n_days=100, start=start, seed=4)


def first_and_second(site, year: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Of 60 days, then of all 100, by event."""
    found = []
    for name, days in (("first", 60), ("second", 100)):
        end = year["occurred_at"].iloc[0] + pd.Timedelta(days=days)
        freeze_payments(site, name, year[year["occurred_at"] < end].reset_index(drop=True))
        found.append(load_frozen(dataset_folder(site, "fraud", name))[0].set_index("event_id"))
    return found[0], found[1]


def test_it_works(site, year) -> None:
    first, second = first_and_second(site, year)
    assert {"train", "val", "test", "gate"} <= set(first["split"]) & set(second["split"])
    once = first.index[first["split"].isin(["test", "gate"])]
    assert not set(second.loc[once, "split"]) & {"train", "val"}
    assert (second.loc[first.index[first["split"] == "gap"], "split"] == "train").any()
    held = HeldOutPeriod.objects.order_by("begins_at")
    assert [one.part for one in held] == ["test", "gate", "test", "gate"]
    assert DatasetSnapshot.objects.get(name="second").summary["parts"]["held"]["payments"] > 0


def test_without_the_record_it_would_teach(site, year, monkeypatch) -> None:
    monkeypatch.setattr("apps.fraud.lifecycle.services.datasets.periods_held", lambda *_: [])
    first, second = first_and_second(site, year)
    assert "train" in set(second.loc[first.index[first["split"].isin(["test", "gate"])], "split"])


def test_another_stream_holds_nothing_out(site, year) -> None:
    freeze_payments(site, "published", year, stream="published")
    freeze_payments(site, "own", year)
    parts = [load_frozen(dataset_folder(site, "fraud", name))[0]["split"] for name in ("published", "own")]
    pd.testing.assert_series_equal(*parts)
    assert HeldOutPeriod.objects.filter(stream="").count() == 2


def test_what_is_not_included_is_no_label_and_no_silence_either(decided, post, site, make_user) -> None:
    from apps.fraud.lifecycle.services.datasets import export_decided

    decided(paid="approve", bad="approve")
    label(post, "bad", True, source="issuer")
    made = export_decided(site, "spring", frozenset({"analyst"}), make_user("ml_admin"), lambda *_: None)
    frame = load_frozen(dataset_folder(site, "fraud", "spring"))[0]
    assert frame["fraud"].isna().all()
    assert made.summary["from"] == "decisions"
    made = export_decided(
        site, "summer", frozenset({"outside"}), make_user("ml_admin", email="b@x.example"), lambda *_: None
    )
    assert made.summary["n_fraud"] == 1
    assert made.summary["provenance"]["issuer"] == 1


def test_what_was_brought_along_teaches_with_what_was_decided_here(
    decided, post, site, year, make_user
) -> None:
    """Its test and gate go on as such while too little came since; the newest label of a payment counts."""
    from apps.fraud.lifecycle.services.datasets import export_decided

    base = freeze_payments(site, "brought", year, stream="published")
    before = load_frozen(dataset_folder(site, "fraud", "brought"))[0].set_index("event_id")
    decided(mine="approve", newest="approve")
    label(post, "newest", True)
    includes, who = frozenset({"outside", "silence"}), make_user("ml_admin")
    made = export_decided(site, "both", includes, who, lambda *_: None, base)
    frame = load_frozen(dataset_folder(site, "fraud", "both"))[0].set_index("event_id")
    assert set(frame.index) == {*before.index, "mine", "newest"}
    assert frame["occurred_at"].is_monotonic_increasing
    for part in ("test", "gate"):
        assert list(frame.index[frame["split"] == part]) == list(before.index[before["split"] == part])
    assert (frame.loc[before.index, "fraud"] == before["fraud"]).all()
    assert list(frame.loc[["mine", "newest"], "split"]) == ["waiting", "waiting"]
    assert frame.loc["newest", "fraud"] == 1
    assert made.summary["provenance"]["together with"] == "brought"


def test_a_payment_in_both_is_there_once_with_its_newer_label(year, tmp_path) -> None:
    freeze_frame(year, tmp_path / "b", "b")
    again = year.iloc[:5].assign(fraud=pd.array([1] * 5, "Int8")).reset_index(drop=True)
    both = joined(again, tmp_path / "b").set_index("event_id")
    assert len(both) == len(year)
    assert (both.loc[again["event_id"], "fraud"] == 1).all()
    assert (both.loc[year["event_id"][5:], "fraud"].to_numpy() == year["fraud"][5:].to_numpy()).all()


def test_the_news_are_what_was_known_since(decided, post, site) -> None:
    decided(bad="approve", worse="approve")
    said = {"event_id": "bad", "fraud": True, "source": "chargeback", "scheme": "visa", "raw_code": "10.4"}
    assert post([said], door="labels").status_code == 202
    label(post, "worse", True)
    assert label_news(site, None) == {"labels from dispositions": 0, "chargebacks": 1, "other reports": 1}
    freeze(site)
    as_of = datetime.fromisoformat(DatasetSnapshot.objects.get().summary["as_of"])
    assert sum(label_news(site, as_of).values()) == 0
    assert sum(label_news(site, as_of - timedelta(days=1)).values()) == 2


def test_simulated_worlds_are_streams_of_their_own(site) -> None:
    for seed in "12":
        world = ["--customers", "20", "--terminals", "20", "--days", "40", "--seed", seed]
        call_command("simulate_transactions", "--name", f"s{seed}", *world)
    assert len(set(HeldOutPeriod.objects.values_list("stream", flat=True))) == 2
