"""A file of labelled payments becomes a dataset of what serving would have scored."""

from __future__ import annotations

import io
import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from django.core.management import CommandError, call_command

from apps.accounts.models import Site
from apps.fraud.models import FxRate
from apps.fraud.services.history import read_history
from apps.modelops.models import DatasetSnapshot
from apps.modelops.places import dataset_folder
from ml.fraud.importing import LABEL_DELAY, load_frozen
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

    def write(frame: pd.DataFrame) -> list[str]:
        frame.to_csv(tmp_path / "given.csv", index=False)
        (tmp_path / "mapping.json").write_text(json.dumps(MAPPING))
        return ["--file", str(tmp_path / "given.csv"), "--mapping", str(tmp_path / "mapping.json")]

    return write


def given(frame: pd.DataFrame, tmp_path: Path) -> pd.DataFrame:
    frame.to_parquet(tmp_path / "given.parquet")
    return read_history(tmp_path / "given.parquet", MAPPING)


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
    frame = load_frozen(dataset_folder(site, "fraud", "mine"))
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
