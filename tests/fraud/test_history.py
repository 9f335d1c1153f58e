"""A file of labelled payments becomes a dataset of what serving would have scored."""

from __future__ import annotations

import io
import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from django.core.management import CommandError, call_command

from apps.accounts.models import Site
from apps.fraud.lifecycle.services.history import read_history
from apps.fraud.models import FxRate
from apps.modelops.common.places import dataset_folder
from apps.modelops.models import DatasetSnapshot
from ml.fraud.features import FEATURE_NAMES
from ml.fraud.importing import load_frozen
from ml.fraud.replay import replay_features, reversals_in
from ml.fraud.splits import LABEL_DELAY
from ml.fraud.train import _parts


def rows(n: int = 400) -> pd.DataFrame:
    at = pd.date_range("2026-01-01", periods=n, freq="6h", tz="UTC")
    return pd.DataFrame(
        {
            "when": at, "pan_token": [f"c{i % 20}" for i in range(n)], "pos": [f"t{i % 7}" for i in range(n)],
            "eur": [10.0 + i % 50 for i in range(n)], "bad": [int(i % 9 == 0) for i in range(n)],
            "kind": "authorization", "ccy": "EUR",
        }
    )  # fmt: skip


MAPPING: dict[str, Any] = {
    "occurred_at": "when", "card_token": "pan_token", "terminal_id": "pos", "type": "kind", "currency": "ccy",
    "amount_minor": {"column": "eur", "scale": 100}, "fraud": "bad",
}  # fmt: skip


@pytest.fixture
def put(tmp_path, settings):
    settings.VAR_DIR = tmp_path / "var"

    def write(frame: pd.DataFrame, mapping: dict[str, Any] = MAPPING) -> list[str]:
        frame.to_csv(tmp_path / "given.csv", index=False)
        (tmp_path / "mapping.json").write_text(json.dumps(mapping))
        return ["--file", str(tmp_path / "given.csv"), "--mapping", str(tmp_path / "mapping.json")]

    return write


def given(frame: pd.DataFrame, tmp_path: Path) -> pd.DataFrame:
    frame.to_parquet(tmp_path / "given.parquet")
    [payments] = read_history([tmp_path / "given.parquet"], MAPPING)
    return payments


def test_any_column_names_will_do(put, site) -> None:
    call_command("import_transactions", *put(rows()), "--name", "mine")
    dataset = DatasetSnapshot.objects.get(name="mine")
    assert dataset.site == Site.objects.get()


def test_a_dry_run_tells_and_freezes_nothing(put, site) -> None:
    told = io.StringIO()
    call_command("import_transactions", *put(rows()), "--name", "mine", "--dry-run", stdout=told)
    assert "400 payments from 2026-01-01 00:00" in told.getvalue()
    assert "45 fraud, 355 legitimate, 0 without a label" in told.getvalue()
    assert "not in the mapping, so neutral: event_id" in told.getvalue()
    assert "test: " in told.getvalue()
    assert not DatasetSnapshot.objects.exists()
    call_command("import_transactions", *put(rows()), "--name", "mine")  # and the name is still free


def test_what_takes_a_payment_back_is_no_example(tmp_path, db) -> None:
    frame = rows().assign(kind=["refund" if i % 4 == 0 else "authorization" for i in range(400)])
    assert len(given(frame, tmp_path)) == 300


WITH_BACK = {**MAPPING, "event_id": "id", "original_event_id": "of", "received_at": "came"}


def with_back() -> pd.DataFrame:
    """The rows, and two refunds of one of them, a reversal of nobody's and one that came after its time."""
    paid = rows().assign(id=[f"p{i}" for i in range(400)], of=None, came=None)
    back = paid.iloc[[100, 100, 200, 300]].assign(
        id=["b1", "b2", "b3", "b4"], of=["p100", "p100", "nobody", "p300"], eur=[7.0, 6.0, 9.0, 1.5],
        kind=["refund", "refund", "reversal", "partial_reversal"],
        came=[None, None, None, paid["when"].iloc[302] + pd.Timedelta(minutes=1)],
    )  # fmt: skip
    return pd.concat([paid, back], ignore_index=True)


def test_what_was_taken_back_stands_with_its_payment(tmp_path, db) -> None:
    with_back().to_parquet(tmp_path / "given.parquet")
    [payments] = read_history([tmp_path / "given.parquet"], WITH_BACK)
    assert len(payments) == 400
    told = {row: json.loads(payments["taken_back"][row]) for row in (100, 300)}
    assert [minor for _, minor in told[100]] == [700, 300]  # of 10.00, all there was
    assert [minor for _, minor in told[300]] == [150]
    assert (payments["taken_back"] != "").sum() == 2
    assert [place for place, _ in reversals_in(payments)] == [101, 101, 303]


def test_in_the_later_of_two_files_it_finds_the_earlier_ones_payment(tmp_path, db) -> None:
    frame = with_back()
    parts = frame[frame["id"].str.startswith("p")].iloc[:350], frame[~frame["id"].isin(frame["id"][:350])]
    files = [tmp_path / f"{name}.csv" for name in ("earlier", "later")]
    for part, file in zip(parts, files, strict=True):
        part.to_csv(file, index=False)
    earlier, later = read_history(files, WITH_BACK)
    assert (len(earlier), len(later)) == (350, 50)
    assert (earlier["taken_back"] != "").sum() == 2


def test_the_replay_of_an_import_takes_it_back(put, site, tmp_path) -> None:
    told = io.StringIO()
    command = ["import_transactions", *put(with_back(), WITH_BACK), "--name", "mine"]
    call_command(*command, "--dry-run", stdout=told)
    assert "2 of the payments taken back, wholly or in part" in told.getvalue()
    call_command(*command)
    frame, _ = load_frozen(dataset_folder(site, "fraud", "mine"))
    features = replay_features(frame, lambda _: None)
    kept = replay_features(frame.drop(columns="taken_back"), lambda _: None)
    moved = {FEATURE_NAMES[i] for i in np.flatnonzero((features != kept).any(axis=0))}
    assert "card_sum_30d" in moved
    assert all("_sum_" in name or "_mean_" in name for name in moved)


def test_amounts_are_of_one_currency_at_the_rate_of_their_day(tmp_path, db) -> None:
    FxRate.objects.create(currency="JPY", date=date(2026, 1, 1), rate=Decimal("0.005"))
    FxRate.objects.create(currency="JPY", date=date(2026, 1, 20), rate=Decimal("0.01"))
    frame = rows().assign(ccy="JPY", eur=100.0)  # 100.0 * 100 minor units: 10,000 yen
    amounts = given(frame, tmp_path)["amount_minor"]
    assert (amounts.iloc[0], amounts.iloc[-1]) == (5_000, 10_000)


@pytest.mark.parametrize(
    ("changes", "says"),
    [({"kind": "purchase"}, "Unknown types: purchase"), ({"ccy": "EURO"}, "Unknown currencies: EURO"),
     ({"pan_token": None}, "400 rows have no card_token")],
)  # fmt: skip
def test_rows_that_do_not_fit_are_named(put, site, changes, says) -> None:
    with pytest.raises(CommandError, match=says):
        call_command("import_transactions", *put(rows().assign(**changes)), "--name", "mine")


def test_a_freeze_that_is_cut_off_leaves_the_name_free(put, site, monkeypatch) -> None:
    command = ["import_transactions", *put(rows()), "--name", "mine"]
    with monkeypatch.context() as patch, pytest.raises(CommandError, match="No space left"):
        patch.setattr("pandas.DataFrame.to_parquet", lambda *_, **__: _full())
        call_command(*command)
    assert not dataset_folder(site, "fraud", "mine").exists()
    call_command(*command)
    assert DatasetSnapshot.objects.get().name == "mine"


def _full() -> None:
    raise OSError(28, "No space left on device")


def test_only_what_was_known_in_time_teaches(put, site) -> None:
    """A label that comes a month later must not teach, choose or calibrate."""
    call_command("import_transactions", *put(rows()), "--name", "mine")
    frame, _ = load_frozen(dataset_folder(site, "fraud", "mine"))
    parts = _parts(frame)
    begins = {name: frame.loc[frame["split"] == name, "occurred_at"].min() for name in ("val", "test")}
    # The first of the training time only warms the states.
    assert 0 < parts["train"].sum() < (frame["split"] == "train").sum()
    late = _parts(frame.assign(label_known_at=frame["label_known_at"] + 4 * LABEL_DELAY))
    taught = frame[late["train"]]
    assert 0 < len(taught) < parts["train"].sum()
    assert (taught["label_known_at"] + 4 * LABEL_DELAY <= begins["val"]).all()
    assert late["val"].sum() == 0 < parts["val"].sum()
    assert late["test"].sum() == parts["test"].sum()
