"""The commands an ML administrator types, on a real database, with real films."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from apps.core.clock import now
from apps.modelops.common import places
from apps.modelops.models import DatasetSnapshot, Model, ModelVersion, TrainingJob
from apps.radiology.models import Rejection, RejectionNote
from ml.radiology.dicom import read_header
from ml.radiology.importing import load_frozen
from ml.radiology.synthetic import LABELS
from tests.films import N_FILMS

pytestmark = pytest.mark.django_db


@pytest.fixture
def own_folder(settings, tmp_path: Path, site) -> Path:
    settings.VAR_DIR = tmp_path / "var"
    return tmp_path


def arguments(films: Path, *more: str) -> list[str]:
    return [
        "--images",
        str(films),
        "--labels",
        str(films / "labels.csv"),
        "--findings",
        "effusion,Nodule",
        *more,
    ]


def test_import_images_freezes_and_registers(film_folder, own_folder, site) -> None:
    call_command("import_images", *arguments(film_folder, "--name", "films"), stdout=StringIO())
    snapshot = DatasetSnapshot.objects.get(name="films")
    assert snapshot.summary["n"] == N_FILMS
    assert load_frozen(places.dataset_folder(site, "radiology", "films")).findings == ("Effusion", "Nodule")


def test_a_dry_run_registers_nothing(film_folder, own_folder, site) -> None:
    out = StringIO()
    call_command("import_images", *arguments(film_folder, "--name", "films", "--dry-run"), stdout=out)
    assert json.loads(out.getvalue())["n_patients"] == N_FILMS * 3 // 4
    assert not DatasetSnapshot.objects.exists()
    assert not places.dataset_folder(site, "radiology", "films").exists()


def test_no_dataset_holds_what_a_rejection_note_names(film_folder, own_folder, site) -> None:
    uid = read_header(film_folder / "film-000000.dcm").SOPInstanceUID
    note = RejectionNote.objects.create(
        site=site, SOPInstanceUID="1.2", code="113037", sender="x", received_at=now()
    )
    rejection = Rejection.objects.create(note=note, site=site, SOPInstanceUID=uid)
    out = StringIO()
    call_command("import_images", *arguments(film_folder, "--name", "films", "--dry-run"), stdout=out)
    assert json.loads(out.getvalue())["skipped"] == {"rejected": 1}
    call_command("import_images", *arguments(film_folder, "--name", "films"), stdout=StringIO())
    assert DatasetSnapshot.objects.get().summary["n"] == N_FILMS - 1
    Rejection.objects.filter(pk=rejection.pk).update(ended_at=now())
    call_command("import_images", *arguments(film_folder, "--name", "again"), stdout=StringIO())
    assert DatasetSnapshot.objects.get(name="again").summary["n"] == N_FILMS


def test_simulate_films_freezes_what_it_draws(own_folder, site) -> None:
    options = {"name": "drawn", "films": 12, "rows": 64, "workers": 1, "keep": own_folder / "kept"}
    call_command("simulate_films", **options, stdout=StringIO())
    data = load_frozen(places.dataset_folder(site, "radiology", "drawn"))
    assert (len(data.table), data.findings) == (12, LABELS)
    assert len(list((own_folder / "kept").glob("*.dcm"))) == 12
    with pytest.raises(CommandError, match="dataset_exists"):
        call_command("simulate_films", **options, stdout=StringIO())


def test_evaluate_writes_one_document(trained, film_folder, own_folder, site) -> None:
    places.artefact_folder(trained.artefact_hash).symlink_to(trained.artefact_dir)
    about = {"site": site, "domain": "radiology"}
    dataset = DatasetSnapshot.objects.create(**about, name="tiny", manifest_sha256="0" * 64)
    job = TrainingJob.objects.create(**about, dataset=dataset, preset="tiny", params={})
    ModelVersion.objects.create(
        model=Model.objects.create(domain="radiology"), number=1, artefact_hash=trained.artefact_hash,
        dataset=dataset, job=job,
    )  # fmt: skip
    out = own_folder / "out.json"
    given = ["radiology", "--version", "1", "--json", str(out)]
    call_command("evaluate", *given, *arguments(film_folder), stdout=StringIO())
    document = json.loads(out.read_text())
    assert (document["n"], document["n_excluded"], document["cp100"]) == (N_FILMS, 0, None)
    assert set(document["findings"]) == {"Effusion", "Nodule"}
    assert set(document["intervals"]) >= {"auc", "ap", "brier"}
    with pytest.raises(CommandError, match="Hernia"):
        call_command("evaluate", *given, *arguments(film_folder)[:-1], "Hernia", stdout=StringIO())


def test_fetch_weights_fails_in_one_sentence(settings, tmp_path) -> None:
    settings.LYNCEUS_BACKBONE_DIR = tmp_path
    with pytest.raises(CommandError, match="knows no published weights for 'nonesuch'"):
        call_command("fetch_weights", "nonesuch", stdout=StringIO())
