"""Simulator to artefact to predictor: reproducible, split by time, served as it was trained."""

from __future__ import annotations

import dataclasses
import shutil
from datetime import UTC, datetime
from itertools import islice, pairwise

import numpy as np
import pandas as pd
import pytest
import torch

from ml.common.artefact import ArtefactError, open_artefact
from ml.common.contracts import Cancelled
from ml.fraud.config import TrainConfig
from ml.fraud.evaluate import card_precision, evaluate, within_budget
from ml.fraud.features import N_FEATURES, SEQUENCE
from ml.fraud.importing import events_of, freeze_frame, load_frozen, read_canonical
from ml.fraud.predict import FraudPredictor
from ml.fraud.rnn import inputs, side_by_side
from ml.fraud.sequence import GruNet, _to_numpy
from ml.fraud.simulator import SCENARIOS, simulate, stream
from ml.fraud.splits import split_by_time
from ml.fraud.train import train


@pytest.fixture(scope="module")
def predictor(trained) -> FraudPredictor:
    return FraudPredictor.load(trained.artefact_dir, trained.artefact_hash)


def test_the_simulator_is_reproducible_and_holds_every_scenario(history) -> None:
    again = simulate(
        n_customers=250, n_terminals=100, n_days=40, start=datetime(2026, 1, 1, tzinfo=UTC), seed=1
    )
    pd.testing.assert_frame_equal(history, again)
    assert set(history["scenario"]) == set(SCENARIOS)
    assert 0.005 < history["fraud"].mean() < 0.05
    assert history["occurred_at"].is_monotonic_increasing


def test_the_stream_speaks_the_webhooks_language() -> None:
    events = [event for event, _ in islice(stream(seed=2, batch_customers=5), 50)]
    assert len({event["event_id"] for event in events}) == 50
    assert "fraud" not in events[0]
    assert "scenario" not in events[0]
    assert datetime.fromisoformat(events[0]["occurred_at"]).tzinfo is not None
    online = [event for event in events if event["channel"] == "ecom"]
    assert online
    assert all(event["device_id"] and event["ip"] and event["cvv_result"] for event in online)


def test_splits_follow_time_and_leave_a_gap_for_labels(history, tmp_path) -> None:
    freeze_frame(history, tmp_path / "d", "x")
    frame, _ = load_frozen(tmp_path / "d")
    at = frame.groupby("split")["occurred_at"].agg(["min", "max"])
    assert list(at.sort_values("min").index) == ["train", "gap", "val", "test", "gate"]
    for before, after in pairwise(("train", "val", "test", "gate")):
        assert at.loc[after, "min"] - at.loc[before, "max"] > pd.Timedelta(days=2.7)
    (tmp_path / "d" / "events.parquet").write_bytes(b"other")
    with pytest.raises(ValueError, match="not what was frozen"):
        load_frozen(tmp_path / "d")


def test_a_mapping_brings_foreign_columns_home(tmp_path) -> None:
    source = pd.DataFrame(
        {"when": ["2026-01-02 03:04:05"], "who": [7], "eur": [12.34], "where": [3], "bad": [1]}
    )
    source.to_csv(tmp_path / "t.csv", index=False)
    mapping = {"occurred_at": "when", "card_token": "who", "terminal_id": "where", "fraud": "bad",
               "amount_minor": {"column": "eur", "scale": 100}, "country": {"const": "DE"}}  # fmt: skip
    row = read_canonical(tmp_path / "t.csv", mapping).iloc[0]
    assert (row["card_token"], row["amount_minor"], row["country"], row["fraud"]) == ("7", 1234, "DE", 1)
    with pytest.raises(ValueError, match="must say where amount_minor"):
        read_canonical(
            tmp_path / "t.csv", {"occurred_at": "when", "card_token": "who", "terminal_id": "where"}
        )


def test_numpy_steps_as_torch_does() -> None:
    torch.manual_seed(0)
    size, columns = len(SEQUENCE) + 1, np.array(SEQUENCE)
    net = GruNet(size, 16, 8)
    torch.nn.init.normal_(net.out.weight)
    gru = _to_numpy(net, columns, np.zeros(size, np.float32), np.ones(size, np.float32), share=0.5)
    features = np.random.default_rng(0).normal(size=(20, N_FEATURES)).astype(np.float32)
    margins = np.linspace(-9, 9, 20, dtype=np.float32)
    with torch.no_grad():
        wanted, _ = net(torch.from_numpy(inputs(features, margins, columns))[None], None)
    hidden, got = None, []
    for row, margin in zip(features, margins, strict=True):
        logit, hidden = gru.step(row, margin, hidden)
        got.append(logit)
    np.testing.assert_allclose(got, wanted[0].numpy() * 0.5, atol=1e-5)


def test_networks_side_by_side_add_the_mean_of_what_each_would() -> None:
    size, columns, rng = len(SEQUENCE) + 1, np.array(SEQUENCE), np.random.default_rng(3)
    members = []
    for seed in range(3):
        torch.manual_seed(seed)
        net = GruNet(size, 8, 4)
        torch.nn.init.normal_(net.out.weight)
        plain = np.zeros(size, np.float32), np.ones(size, np.float32)
        members.append(_to_numpy(net, columns, *plain, share=1.0))
    together = side_by_side(members)
    assert together.hidden_size == 24
    features, margins = rng.normal(size=(30, N_FEATURES)).astype(np.float32), rng.normal(-4, 3, 30)
    hidden, alone = None, [None] * 3
    for row, margin in zip(features, margins, strict=True):
        got, hidden = together.step(row, margin, hidden)
        each = [one.step(row, margin, state) for one, state in zip(members, alone, strict=True)]
        alone = [state for _, state in each]
        assert got == pytest.approx(np.mean([value for value, _ in each]), abs=1e-5)
    np.testing.assert_allclose(hidden, np.concatenate(alone), atol=1e-5)


def test_many_cards_at_once_step_as_one_does(predictor) -> None:
    features = np.random.default_rng(1).normal(size=(40, N_FEATURES)).astype(np.float32)
    margins = np.random.default_rng(2).normal(-4, 3, 40).astype(np.float32)
    cards = [np.arange(25), np.arange(25, 32), np.arange(32, 40)]
    got = np.zeros(40, np.float32)
    for rows, logits in predictor.gru.run(features, margins, cards):
        got[rows] = logits
    for rows in cards:
        hidden = None
        for row in rows:
            logit, hidden = predictor.gru.step(features[row], margins[row], hidden)
            assert got[row] == pytest.approx(logit, abs=1e-5)


def test_training_beats_chance_and_says_what_each_half_is_worth(trained) -> None:
    test = trained.metrics["test"]
    assert test["intervals"]["auc"][0] > 0.5
    parts = trained.metrics["ablation"]
    assert list(parts) == ["rule_amount_over_usual", "trees_without_gru", "gru_alone", "stack"]
    assert parts["stack"]["ap"] == trained.metrics["test"]["ap"]
    assert trained.metrics["thresholds"]["review"] <= trained.metrics["thresholds"]["decline"]


def test_service_is_bit_equal_to_replay_however_it_is_cut_into_batches(predictor, history) -> None:
    events = events_of(history.iloc[:600])
    whole = predictor.score_batch(events, {}, explain=False)
    states: dict[str, bytes] = {}
    pieces = []
    for start in range(0, 600, 7):
        result = predictor.score_batch(events[start : start + 7], states, explain=False)
        states |= result.states
        pieces += result.scores
    for one, other in zip(whole.scores, pieces, strict=True):
        assert one.vector.tobytes() == other.vector.tobytes()
        assert one.score == other.score
    assert states == dict(whole.states)


def test_reasons_add_up_to_the_margin(predictor, history) -> None:
    result = predictor.score_batch(events_of(history.iloc[:200]), {})
    for one in result.scores[::20]:
        margin = float(predictor.margins(one.vector[None])[0])
        assert sum(reason.weight for reason in one.reasons) == pytest.approx(margin, abs=1e-3)
        assert len(one.reasons) == 6


def test_a_large_unusual_payment_scores_higher(predictor, history) -> None:
    events = [e for e in events_of(history) if e.card_token == history["card_token"].iloc[0]][:30]
    states = predictor.score_batch(events, {}, explain=False).states
    usual = dataclasses.replace(events[-1], occurred_at_us=events[-1].occurred_at_us + 10**11)
    strange = dataclasses.replace(usual, amount_minor=usual.amount_minor * 12)
    scores = [predictor.score_batch([e], states).scores[0].score for e in (usual, strange)]
    assert scores[1] > scores[0]


def test_a_tampered_artefact_is_not_served(trained, tmp_path) -> None:
    shutil.copytree(trained.artefact_dir, tmp_path / "a")
    trees = tmp_path / "a" / "trees.ubj"
    trees.write_bytes(trees.read_bytes()[:-1] + b"x")
    with pytest.raises(ArtefactError) as caught:
        FraudPredictor.load(tmp_path / "a")
    assert caught.value.code == "hash_mismatch"


def test_a_model_that_answers_otherwise_is_not_served(trained, monkeypatch) -> None:
    from ml.fraud.rnn import Gru

    honest = Gru.step
    monkeypatch.setattr(Gru, "step", lambda *given: (honest(*given)[0] + 0.01, honest(*given)[1]))
    with pytest.raises(ArtefactError) as caught:
        FraudPredictor.load(trained.artefact_dir)
    assert caught.value.code == "golden_mismatch"


def test_training_again_makes_the_same_artefact(trained, request_for) -> None:
    assert train(request_for(), lambda event: None).artefact_hash == trained.artefact_hash


def test_it_stops_when_asked_and_resumes(request_for) -> None:
    asked = request_for()

    def stop(event) -> None:
        if event.phase == "replay":
            raise Cancelled

    with pytest.raises(Cancelled):
        train(asked, stop)
    assert (asked.checkpoint_dir / "gru0.pt").is_file()
    phases = []
    result = train(dataclasses.replace(asked, resume=True), lambda event: phases.append(event.phase))
    assert "sequence" not in phases
    assert open_artefact(result.artefact_dir, result.artefact_hash).kind == "fraud"


def test_evaluation_with_a_warm_state(trained, history) -> None:
    early, late = history.iloc[:5000], history.iloc[5000:8000].copy()
    late.loc[late.index[:10], "fraud"] = None
    report = evaluate(trained.artefact_dir, events=late, history=early, bootstrap=20)
    assert (report.values["n"], report.values["n_excluded"]) == (2990, 10)
    assert report.intervals["auc"][0] <= report.values["auc"] <= report.intervals["auc"][1]


def test_it_measures_what_training_measured(trained, history) -> None:
    """The test part of the data set again, after its history: the same scores, so the same numbers."""
    splits = split_by_time(history["occurred_at"])
    first, last = np.flatnonzero(splits == "test")[[0, -1]]
    report = evaluate(
        trained.artefact_dir, events=history.iloc[first : last + 1], history=history.iloc[:first], bootstrap=0
    )
    told = trained.metrics["test"]
    assert {name: report.values[name] for name in ("n", "auc", "ap", "brier", "cp100")} == {
        name: pytest.approx(told[name]) for name in ("n", "auc", "ap", "brier", "cp100")
    }


def test_a_days_budget_is_of_that_day() -> None:
    """Two a day: what the other day has of high scores takes no place here."""
    days = np.array([7, 7, 7, 9, 9, 9])
    fraud, amounts = np.array([1, 0, 1, 0, 1, 0]), np.array([500, 10, 300, 20, 100, 30])
    scores = np.array([0.9, 0.8, 0.7, 0.3, 0.2, 0.1])
    assert within_budget(days, fraud, scores, amounts, k=2) == {
        "precision_at_2": 0.5, "value_recall_at_2": 600 / 900, "caught_minor_at_2_per_day": 300,
    }  # fmt: skip
    one_day = within_budget(days * 0, fraud, scores, amounts, k=2)
    assert (one_day["precision_at_2"], one_day["value_recall_at_2"]) == (0.5, 500 / 900)
    assert within_budget(days, fraud * 0, scores, amounts, k=2)["value_recall_at_2"] is None
    assert set(within_budget(days[:0], fraud[:0], scores[:0], amounts[:0]).values()) == {None}


def test_card_precision_takes_a_detected_card_out() -> None:
    frame = pd.DataFrame(
        {
            "occurred_at": pd.to_datetime(["2026-01-01", "2026-01-01", "2026-01-02", "2026-01-02"], utc=True),
            "card_token": ["a", "b", "a", "c"],
            "fraud": [1, 0, 1, 1],
        }
    )
    assert card_precision(frame, np.array([0.9, 0.1, 0.9, 0.2]), k=1) == 1.0
    assert card_precision(frame, np.array([0.1, 0.9, 0.9, 0.2]), k=1) == 0.5


@pytest.mark.parametrize(
    ("params", "says"),
    [({"layers": 2}, "Unknown"), ({"epochs": 2.5}, "whole number"), ({"trees": 10**6}, "between")],
)
def test_bad_parameters_are_refused(params, says) -> None:
    with pytest.raises(ValueError, match=says):
        TrainConfig.from_params(params)
