"""Films to artefact to findings: the same when resumed, served as it was trained, refused when tampered."""

from __future__ import annotations

import copy
import dataclasses
import shutil
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from ml.common.artefact import ArtefactError, open_artefact, write_artefact
from ml.common.contracts import SCRATCH, Cancelled
from ml.common.control import SHUFFLED
from ml.radiology import fitting, predict
from ml.radiology import train as train_module
from ml.radiology.checkpoint import CHECKPOINT
from ml.radiology.config import PRESETS, TrainConfig
from ml.radiology.dataset import SQUARES, Films, shuffled
from ml.radiology.dicom import decode
from ml.radiology.evaluate import evaluate
from ml.radiology.importing import freeze_images, load_frozen
from ml.radiology.model import open_network
from ml.radiology.predict import RadiologyPredictor
from ml.radiology.synthetic import LABELS
from ml.radiology.torch_session import TorchSession
from ml.radiology.transforms import fit, shrink
from tests.films import N_FILMS, train_tiny


@pytest.fixture(scope="module")
def predictor(trained) -> RadiologyPredictor:
    return RadiologyPredictor.load(trained.artefact_dir, trained.artefact_hash)


def test_a_film_gets_a_finding_a_label(predictor, film_folder) -> None:
    films = [decode(path).pixels for path in sorted(film_folder.glob("*.dcm"))[:3]]
    answers = predictor.predict(films)
    assert len(answers) == 3
    for answer in answers:
        assert tuple(finding.label for finding in answer.findings) == LABELS
        for finding in answer.findings:
            assert 0 < finding.probability < 1
            point = finding.operating_point
            assert finding.positive == (point is not None and finding.probability >= point)
    assert predictor.predict([]) == []
    # Alone or among others, at any size: the same answer.
    alone = predictor.predict(films[1:2])[0]
    np.testing.assert_allclose(
        [f.probability for f in alone.findings], [f.probability for f in answers[1].findings], atol=1e-5
    )
    assert predictor.predict([np.zeros((2000, 1500), np.float32)])


def test_what_serves_is_what_was_trained(trained, predictor) -> None:
    network = open_network(open_artefact(trained.artefact_dir))
    squares = np.random.default_rng(0).integers(0, 255, (5, 48, 48), np.uint8)
    with torch.no_grad():
        wanted = network.module(torch.from_numpy(predictor.preprocessing.normalise(squares)))
    np.testing.assert_allclose(predictor.logits(squares), wanted.numpy(), atol=1e-3)


def test_the_artefact_says_where_it_comes_from(trained) -> None:
    meta = open_artefact(trained.artefact_dir, trained.artefact_hash, kind="radiology").meta
    assert meta["pretrained"] is None
    assert meta["labels"] == list(LABELS)
    assert set(meta["operating_points"]) == set(meta["temperature"]) == set(LABELS)
    assert meta["validated_on"]["age_years"][0] >= 20
    test = meta["metrics"]["test"]
    assert test["intervals"]["auc"][0] <= test["auc"] <= test["intervals"]["auc"][1]
    assert len(meta["dataset"]["manifest_sha256"]) == 64


def test_progress_tells_epochs_speed_and_where_time_goes(trained, request_for) -> None:
    events = []
    result = train_tiny(request_for(seed=1), events.append)
    assert result.artefact_hash != trained.artefact_hash
    phases = list(dict.fromkeys(event.phase for event in events))
    assert phases == ["start", "train", "export", "calibrate", "test", "done"]
    assert "from scratch" in events[0].message
    ends = [event for event in events if "val_auc" in event.metrics]
    assert [event.epoch for event in ends] == [1, 2]
    shares = [ends[0].metrics[f"share_{name}"] for name in ("data", "forward", "backward", "optimizer")]
    assert sum(shares) == pytest.approx(1)
    seconds = [ends[0].metrics[f"seconds_{name}"] for name in ("data", "forward", "backward", "optimizer")]
    assert [one / sum(seconds) for one in seconds] == pytest.approx(shares)
    assert [event.checkpoint for event in ends] == [True, True]
    assert 0 < ends[1].learning_rate < 1
    assert {"train_loss", "val_loss"} <= set(ends[0].metrics)
    assert all(event.rate_unit == "images" and event.rate for event in events if event.phase == "train")


def test_films_that_weigh_one_each_teach_as_films_without_weights_did(
    trained, request_for, monkeypatch
) -> None:
    """Bit for bit: the batches are made as they were before there were weights."""

    def batch(films, rows, device):
        grey, labels = torch.from_numpy(films.squares[rows]), torch.from_numpy(films.labels[rows])
        known = ~labels.isnan()
        return grey.unsqueeze(1).float() / 255, labels.nan_to_num(0.0), known.float()

    monkeypatch.setattr(Films, "batch", batch)
    assert train_tiny(request_for()).artefact_hash == trained.artefact_hash


def test_heavy_films_teach_more_and_the_artefact_says_so(trained, request_for, film_folder, tmp_path) -> None:
    table = pd.read_csv(film_folder / "labels.csv", dtype=str)
    weights = {name: 10.0 if row % 3 == 0 else 1.0 for row, name in enumerate(table["file"])}
    # A column of that name in somebody's table is no weight.
    table.assign(weight="7").to_csv(tmp_path / "labels.csv", index=False)
    frozen = tmp_path / "heavy"
    freeze_images(film_folder, tmp_path / "labels.csv", list(LABELS), frozen, "tiny", weights=weights)
    result = train_tiny(dataclasses.replace(request_for(), dataset_dir=frozen))
    opened, before = open_artefact(result.artefact_dir), open_artefact(trained.artefact_dir)
    told = opened.meta["dataset"]["weights"]
    assert (told["cap"], told["heaviest"]) == (10, 10)
    assert told["films that weigh more than 1"] == sum(one > 1 for one in weights.values())
    assert "weights" not in before.meta["dataset"]
    losses = [one.meta["metrics"]["history"][0]["train_loss"] for one in (opened, before)]
    assert losses[0] != losses[1]


def test_a_control_experiment_learns_from_shuffled_labels(request_for, monkeypatch) -> None:
    """What teaches and what chooses is dealt out anew; what judges in the end is as it was."""
    request, seen = request_for(params={**PRESETS["tiny"], "control": SHUFFLED}), {}

    def kept(network, films, train, choosing, *args, **kwargs):
        seen.update(labels=films.labels, train=train)
        raise Cancelled

    monkeypatch.setattr(train_module, "fit_network", kept)
    with pytest.raises(Cancelled):
        train_module.train(request, lambda event: None)
    dataset = load_frozen(request.dataset_dir).taught()
    taught, test = seen["train"], np.flatnonzero(dataset.table["split"] == "test")
    of = dataset.labels  # of each finding there are enough
    assert (seen["labels"][taught] != of[taught]).any()
    assert (seen["labels"][taught].sum(0) == of[taught].sum(0)).all()
    assert (seen["labels"][test] == of[test]).all()


def stop_in_epoch_two(event) -> None:
    if event.epoch == 2 and event.step == 3:
        raise Cancelled


def test_a_resumed_run_gives_the_weights_of_an_unbroken_one(trained, request_for) -> None:
    request = request_for()
    with pytest.raises(Cancelled):
        train_tiny(request, stop_in_epoch_two)
    assert not request.output_dir.exists()
    # A checkpoint holds tensors and plain values: loading it runs nothing.
    assert torch.load(request.checkpoint_dir / CHECKPOINT, weights_only=True)["epoch"] == 1
    epochs = []
    resumed = train_tiny(dataclasses.replace(request, resume=True), lambda e: epochs.append(e.epoch))
    assert 1 not in epochs
    assert resumed.artefact_hash == trained.artefact_hash


def test_a_resume_that_forgets_the_optimizer_would_not(trained, request_for, monkeypatch) -> None:
    honest = fitting.load_checkpoint

    def without_optimizer(path, state, modules, movers):
        return honest(path, state, modules, tuple(copy.deepcopy(mover) for mover in movers))

    monkeypatch.setattr(fitting, "load_checkpoint", without_optimizer)
    request = request_for()
    with pytest.raises(Cancelled):
        train_tiny(request, stop_in_epoch_two)
    resumed = train_tiny(dataclasses.replace(request, resume=True))
    assert resumed.artefact_hash != trained.artefact_hash


def test_divergence_is_told_in_a_sentence(request_for) -> None:
    params = {**PRESETS["tiny"], "learning_rate": 0.1}
    with pytest.raises(ValueError, match="diverged"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "masked_loss", lambda logits, *others: logits.sum() * float("nan"))
        train_tiny(request_for(params=params))


def test_a_job_killed_before_its_first_epoch_starts_over(trained, request_for) -> None:
    request = request_for(resume=True)
    (request.checkpoint_dir / SCRATCH).mkdir()
    (request.checkpoint_dir / SCRATCH / SQUARES).write_bytes(b"half")
    assert train_tiny(request).artefact_hash == trained.artefact_hash


@pytest.mark.parametrize("name", ["model.onnx", "weights.safetensors", "golden.npz", "manifest.json"])
def test_a_tampered_artefact_is_not_served(trained, tmp_path, name: str) -> None:
    shutil.copytree(trained.artefact_dir, tmp_path / "a")
    path = tmp_path / "a" / name
    content = path.read_bytes()
    path.write_bytes(content.replace(b"0.5", b"0.6") if name == "manifest.json" else content[:-1] + b"x")
    with pytest.raises(ArtefactError) as caught:
        RadiologyPredictor.load(tmp_path / "a", trained.artefact_hash)
    assert caught.value.code == "hash_mismatch"


def test_a_model_of_another_release_is_refused_in_a_sentence(trained, tmp_path) -> None:
    artefact = open_artefact(trained.artefact_dir)
    files = {name: artefact.path(name).read_bytes() for name in ("model.onnx", "golden.npz")}
    old = {name: value for name, value in artefact.meta.items() if name != "film_format"}
    write_artefact(tmp_path / "old", kind="radiology", files=files, meta=old)
    with pytest.raises(ArtefactError, match="another release of Lynceus: train it again") as caught:
        RadiologyPredictor.load(tmp_path / "old")
    assert caught.value.code == "old_format"


def test_a_model_that_answers_otherwise_is_not_served(trained, monkeypatch) -> None:
    honest = predict.onnx_logits
    monkeypatch.setattr(predict, "onnx_logits", lambda *given: honest(*given) + 0.01)
    with pytest.raises(ArtefactError) as caught:
        RadiologyPredictor.load(trained.artefact_dir)
    assert caught.value.code == "golden_mismatch"


def test_an_export_that_answers_otherwise_than_torch_is_no_artefact(request_for, monkeypatch) -> None:
    """By 2e-4, where 1e-4 is allowed."""
    honest = train_module.onnx_outputs

    def off(*given: Any) -> Any:
        return {name: values + np.float32(2e-4) for name, values in honest(*given).items()}

    monkeypatch.setattr(train_module, "onnx_outputs", off)
    request = request_for()
    with pytest.raises(ArtefactError) as caught:
        train_tiny(request)
    assert caught.value.code == "golden_mismatch"
    assert not request.output_dir.exists()


def test_torch_answers_as_onnx_runtime_does(trained, predictor) -> None:
    """What serves where there is a graphics card, here without one."""
    golden = open_artefact(trained.artefact_dir).golden()["squares"]
    session = TorchSession(open_artefact(trained.artefact_dir), "cpu")
    by_torch = dataclasses.replace(predictor, session=session)
    assert np.allclose(by_torch.logits(golden), predictor.logits(golden), atol=1e-4)
    assert np.allclose(by_torch.unusual(golden), predictor.unusual(golden), atol=1e-2)


def test_evaluation_measures_what_it_can_read(trained, film_folder, tmp_path) -> None:
    table = pd.read_csv(film_folder / "labels.csv", dtype=str)
    table.loc[0, "file"] = "nowhere.dcm"
    table.loc[1, "Effusion"] = ""
    table.to_csv(tmp_path / "labels.csv", index=False)
    given = {"images": film_folder, "labels_csv": tmp_path / "labels.csv", "bootstrap": 20}
    one = evaluate(trained.artefact_dir, findings=["effusion"], **given)
    assert (one.values["n"], one.values["n_excluded"], one.values["cp100"]) == (N_FILMS - 2, 2, None)
    meta = open_artefact(trained.artefact_dir).meta
    assert one.values["threshold"] == meta["operating_points"]["Effusion"]
    two = evaluate(trained.artefact_dir, findings=["Effusion", "Nodule"], **given)
    each = two.values["findings"]
    assert two.values["auc"] == pytest.approx((each["Effusion"]["auc"] + each["Nodule"]["auc"]) / 2)
    assert two.intervals["auc"][0] <= two.values["auc"] <= two.intervals["auc"][1]
    assert two.values["threshold"] is None
    assert each["Effusion"]["n"] == N_FILMS - 2


def test_a_finding_the_model_does_not_know_is_named(trained, film_folder) -> None:
    with pytest.raises(ValueError, match=r"does not know 'Hernia'.*Consolidation, Effusion"):
        evaluate(
            trained.artefact_dir, images=film_folder, labels_csv=film_folder / "labels.csv",
            findings=["Hernia"],
        )  # fmt: skip


def test_data_that_cannot_teach_is_refused(film_folder, request_for, tmp_path) -> None:
    table = pd.read_csv(film_folder / "labels.csv", dtype=str)
    table["Nodule"] = "0"
    table.to_csv(tmp_path / "labels.csv", index=False)
    freeze_images(film_folder, tmp_path / "labels.csv", ["Nodule"], tmp_path / "d", "x")
    with pytest.raises(ValueError, match="more films are needed"):
        train_tiny(request_for(dataset_dir=tmp_path / "d"))


def test_a_finding_too_rare_to_learn_is_left_out_and_named(film_folder, request_for, tmp_path) -> None:
    table = pd.read_csv(film_folder / "labels.csv", dtype=str)
    table["Effusion"] = ""
    table.to_csv(tmp_path / "labels.csv", index=False)
    freeze_images(film_folder, tmp_path / "labels.csv", ["Nodule", "Effusion"], tmp_path / "d", "x")
    events = []
    result = train_tiny(request_for(dataset_dir=tmp_path / "d"), events.append)
    assert "too few films to learn Effusion" in events[0].message
    assert open_artefact(result.artefact_dir).meta["not_taught"] == ["Effusion"]


def test_the_square_keeps_proportions() -> None:
    film = np.full((300, 150), 0.5, np.float32)
    square = fit(shrink(film), 64)
    assert square.shape == (64, 64)
    assert (square > 0).any(0).sum() == 32
    assert shrink(np.ones((2000, 1000), np.float32)).shape == (512, 256)


def test_an_epoch_sees_every_film_at_most_once() -> None:
    rows = np.arange(100)
    batches = shuffled(rows, 32, seed=0, epoch=3)
    seen = np.concatenate(batches)
    assert len(np.unique(seen)) == len(seen) == 96
    assert not np.array_equal(batches[0], shuffled(rows, 32, seed=0, epoch=4)[0])


@pytest.mark.parametrize("params", [*PRESETS.values()])
def test_presets_are_valid(params) -> None:
    TrainConfig.from_params(params)


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"flip": 1}, "Unknown"),
        ({"backbone": "../x"}, "not a name"),
        ({"channels": "2"}, "one of"),
        ({"image_size": 8}, "between"),
    ],
)
def test_bad_parameters_are_refused(params, says) -> None:
    with pytest.raises(ValueError, match=says):
        TrainConfig.from_params(params)
