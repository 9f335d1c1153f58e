"""A file of payments gets the scores they got when they came, and goes on where it was cut off."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
from django.core.management import CommandError, call_command

from apps.core.clock import now
from apps.fraud.lifecycle import scoring
from apps.fraud.models import Decision
from ml.common.contracts import ProgressEvent
from tests.fraud.conftest import drain_all, event

PAYMENTS = 40


@pytest.fixture
def decided(champion, post, tmp_path) -> Path:
    """Payments of five cards at three terminals, each decided before the next came, and a file of them."""
    rows = [
        event(
            f"e{i}", occurred_at=(now() - timedelta(hours=PAYMENTS - i)).isoformat(), card_token=f"c{i % 5}",
            terminal_id=f"t{i % 3}", merchant_id=f"m{i % 3}", amount_minor=900 + 977 * i % 20_000,
        )
        for i in range(PAYMENTS)
    ]  # fmt: skip
    for row in rows:
        assert post(row).status_code == 202
        drain_all()
    pd.DataFrame(rows).to_parquet(tmp_path / "payments.parquet")
    return tmp_path / "payments.parquet"


def score(file: Path, out: Path) -> list[dict]:
    call_command(
        "score", "fraud", "--file", str(file), "--version", "champion", "--out", str(out), stdout=StringIO()
    )
    return [json.loads(line) for line in out.read_text().splitlines()]


def test_it_works_and_goes_on(decided, tmp_path, monkeypatch) -> None:
    about, *lines = score(decided, tmp_path / "out.jsonl")
    assert (about["rows"], about["version"]) == (PAYMENTS, 1)
    served = dict(Decision.objects.values_list("transaction__event_id", "score"))
    assert [line["event_id"] for line in lines] == [f"e{i}" for i in range(PAYMENTS)]
    assert len({round(line["score"], 9) for line in lines}) > 5
    for line in lines:
        assert line["score"] == pytest.approx(served[line["event_id"]], abs=1e-6)

    monkeypatch.setattr(scoring, "ROWS", 7)
    honest, steps = scoring._said, []

    def cut_off(done, of, ticker) -> ProgressEvent:
        steps.append(done)
        if len(steps) == 3:
            raise KeyboardInterrupt
        return honest(done, of, ticker)

    monkeypatch.setattr(scoring, "_said", cut_off)
    with pytest.raises(KeyboardInterrupt):
        score(decided, tmp_path / "again.jsonl")
    assert not (tmp_path / "again.jsonl").exists()
    assert score(decided, tmp_path / "again.jsonl") == [about, *lines]
    assert steps == [7, 14, 21, 28, 35, 40]

    (decided.parent / "other.parquet").write_bytes(decided.read_bytes())
    steps.clear()
    with pytest.raises(KeyboardInterrupt):
        score(decided, tmp_path / "third.jsonl")
    with pytest.raises(CommandError, match="begun with other data"):
        score(decided.parent / "other.parquet", tmp_path / "third.jsonl")


def test_what_cannot_be_scored_says_why(champion, tmp_path) -> None:
    with pytest.raises(CommandError, match="give --file"):
        call_command("score", "fraud", "--version", "1", "--out", str(tmp_path / "x"))
    assert not list(tmp_path.glob("x*"))
