"""An archive is scored as films are that arrive, in the form that serves, and goes on if cut off."""

from __future__ import annotations

import json
import tarfile
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from PIL import Image

from apps.core.status import loaded_parts
from apps.modelops.common import places
from apps.modelops.models import DatasetSnapshot, Model, ModelVersion, TrainingJob
from apps.modelops.versions.services.variants import choose_variant
from apps.radiology.analysis import inference
from apps.radiology.analysis.services.analyse import analyse_instance
from apps.radiology.lifecycle import scoring
from apps.radiology.models import Analysis, Finding, Status
from tests import films
from tests.promoting import put_in_service
from tests.radiology.conftest import film_file
from tests.radiology.shadowing import version_of


@pytest.fixture
def champion(site, tmp_path_factory, folders) -> ModelVersion:
    """A real, small version in service, in 8-bit integers."""
    trained = films.tiny_int8_artefact(tmp_path_factory)
    places.artefact_folder(trained.artefact_hash).symlink_to(trained.artefact_dir)
    forms = trained.metrics["inference"]["variants"]
    accepted = {name: {**row, "accepted": name != "torch"} for name, row in forms.items()}
    dataset = DatasetSnapshot.objects.create(site=site, domain="radiology", name="x", manifest_sha256="")
    version = ModelVersion.objects.create(
        model=Model.objects.create(domain="radiology"), number=1, artefact_hash=trained.artefact_hash,
        dataset=dataset, variant="int8", metrics={"inference": {"variants": accepted, "chosen": "int8"}},
        job=TrainingJob.objects.create(site=site, domain="radiology", dataset=dataset, preset="tiny"),
    )  # fmt: skip
    put_in_service(version)
    return version


@pytest.fixture
def archive(tmp_path_factory, tmp_path) -> Path:
    """Twenty films, a hand, a picture and a table."""
    folder = tmp_path / "archive"
    (folder / "more").mkdir(parents=True)
    for path in sorted(films.tiny_films(tmp_path_factory).glob("*.dcm"))[:20]:
        (folder / "more" / path.name).write_bytes(path.read_bytes())
    (folder / "hand.dcm").write_bytes(film_file(BodyPartExamined="HAND"))
    Image.new("L", (90, 80), 120).save(folder / "picture.png")
    (folder / "labels.csv").write_text("file,patient_id\n")
    return folder


def score(images: Path, out: Path) -> dict[str, dict]:
    call_command(
        "score", "radiology", "--images", str(images), "--version", "champion", "--out", str(out),
        stdout=StringIO(),
    )  # fmt: skip
    _, *lines = [json.loads(line) for line in out.read_text().splitlines()]
    return {line["file"]: line for line in lines}


def test_it_is_what_films_get_that_arrive(champion, archive, received, tmp_path) -> None:
    lines = score(archive, tmp_path / "out.jsonl")
    assert len(lines) == 23
    assert (lines["hand.dcm"]["status"], lines["hand.dcm"]["code"]) == ("not_analysed", "body_part")
    assert (lines["labels.csv"]["status"], lines["labels.csv"]["code"]) == ("refused", "not_dicom")
    assert lines["picture.png"]["status"] in ("analysed", "not_analysed")
    analysed = 0
    for path in sorted((archive / "more").glob("*.dcm"))[:5]:
        instance = received(path.read_bytes())
        analyse_instance(instance.pk)
        instance.refresh_from_db()
        line = lines[f"more/{path.name}"]
        assert line["status"] == ("analysed" if instance.status == Status.ANALYSED else "not_analysed")
        if line["status"] == "analysed":
            analysed += 1
            for finding in Finding.objects.filter(analysis__instance=instance):
                told = line["findings"][finding.label]
                assert told["probability"] == pytest.approx(finding.probability, abs=1e-6)
                assert told["positive"] == finding.positive
    assert analysed


def test_a_tar_gives_the_same(champion, archive, tmp_path) -> None:
    with tarfile.open(tmp_path / "films.tgz", "w:gz") as tar:
        tar.add(archive, arcname=".")
    wanted, got = score(archive, tmp_path / "a.jsonl"), score(tmp_path / "films.tgz", tmp_path / "b.jsonl")
    for name, line in wanted.items():
        assert got[name]["status"] == line["status"]
        for label, told in line.get("findings", {}).items():
            told_there = got[name]["findings"][label]["probability"]
            assert told_there == pytest.approx(told["probability"], abs=1e-6)


def test_a_run_that_was_cut_off_goes_on(champion, archive, tmp_path, monkeypatch) -> None:
    wanted, out = score(archive, tmp_path / "whole.jsonl"), tmp_path / "out.jsonl"
    honest, looked = scoring._look, []

    def cut_off(model, path):
        looked.append(path)
        if len(looked) > scoring.BATCH:
            raise KeyboardInterrupt
        return honest(model, path)

    with monkeypatch.context() as patch:
        patch.setattr(scoring, "_look", cut_off)
        with pytest.raises(KeyboardInterrupt):
            score(archive, out)
    assert not out.exists()
    seen = []
    monkeypatch.setattr(scoring, "_look", lambda model, path: (seen.append(path), honest(model, path))[1])
    assert score(archive, out).keys() == wanted.keys()
    assert len(seen) == 23 - scoring.BATCH
    with pytest.raises(CommandError, match="already"):
        score(archive, out)


def test_workers_notice_another_form(champion, site, archive, tmp_path) -> None:
    first = inference.current_champion()
    assert first.predictor.variant == "int8"
    assert inference.current_champion() is first
    choose_variant(champion, "onnx", by=None, site=site)
    second = inference.current_champion()
    assert (second.predictor.variant, second.version_id) == ("onnx", champion.pk)
    light, full = (one.predictor.temperature.tolist() for one in (first, second))
    assert light != full


def promoted_without_artefact(champion: ModelVersion) -> None:
    """Nobody promotes one that is not whole: it went since."""
    champion.model.champion = version_of(champion, "0" * 64, 2)
    champion.model.save()


def test_where_the_promoted_one_cannot_be_loaded_the_one_before_judges(champion, archive, received) -> None:
    paths = sorted((archive / "more").glob("*.dcm"))
    analyse_instance(received(paths[0].read_bytes()).pk)
    promoted_without_artefact(champion)
    analyse_instance(received(paths[1].read_bytes()).pk)
    assert [one.version for one in Analysis.objects.order_by("pk")] == [champion, champion]
    assert "version 2 cannot be read, the one before it judges" in loaded_parts(None)[0]["says"]
    Model.objects.update(champion=champion)
    inference.current_champion()
    assert loaded_parts(None)[0]["says"] == "version 1, int8"


def test_were_the_one_before_let_go_of_first_films_would_wait(
    champion, archive, received, monkeypatch
) -> None:
    first = received(sorted((archive / "more").glob("*.dcm"))[0].read_bytes())
    inference.current_champion()
    promoted_without_artefact(champion)
    monkeypatch.setattr(inference, "_loaded", None)
    analyse_instance(first.pk)
    first.refresh_from_db()
    assert (first.status, first.reason_code) == (Status.RECEIVED, "model_unreadable")


def test_what_cannot_be_scored_says_why(champion, archive, tmp_path) -> None:
    with pytest.raises(CommandError, match="give --images"):
        call_command("score", "radiology", "--version", "1", "--out", str(tmp_path / "x"))
    with pytest.raises(CommandError, match="neither a folder nor a tar"):
        score(archive / "hand.dcm", tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_a_film_keeps_the_form_that_computed_it(
    champion, archive, received, radiologist, site, concurrent
) -> None:
    """Chosen and back again: what was found earlier still says by which."""
    paths = sorted((archive / "more").glob("*.dcm"))
    for form, path in zip(("int8", "onnx"), paths, strict=False):
        if form != "int8":
            choose_variant(champion, form, by=None, site=site)
        analyse_instance(received(path.read_bytes()).pk)
    forms = Analysis.objects.order_by("pk").values_list("variant", flat=True)
    assert list(forms) == ["int8", "onnx"]
    for said in Analysis.objects.select_related("instance__study"):
        page = radiologist.get(f"/radiology/studies/{said.instance.study.public_id}/analysis/")
        assert f"Model version 1, {said.variant}," in " ".join(page.content.decode().split())
