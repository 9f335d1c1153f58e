"""Made-up films: reproducible, marked, taken by our own gate and decoder, with findings where masks say."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pydicom
import pytest

from ml.radiology.dicom import decode, gate, read_header
from ml.radiology.synthetic import LABELS, synthetic_film, write_films

LUNG_FINDINGS = tuple(label for label in LABELS if label != "Cardiomegaly")


def saved(folder: Path, content: bytes) -> Path:
    path = folder / "film.dcm"
    path.write_bytes(content)
    return path


def test_a_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    one, again, other = (synthetic_film(seed, 5, rows=96) for seed in (7, 7, 8))
    assert one.content == again.content
    assert one.sop_instance_uid == again.sop_instance_uid != other.sop_instance_uid
    assert one.sop_instance_uid.startswith("2.25.")


@pytest.mark.parametrize("index", range(12))
def test_the_gate_and_the_decoder_take_every_film(tmp_path, index: int) -> None:
    film = synthetic_film(1, index, rows=128)
    path = saved(tmp_path, film.content)
    header = read_header(path)
    assert gate(header).accepted
    assert header.synthetic
    assert header.PatientName.startswith("SYNTHETIC")
    assert (header.Modality, header.ViewPosition) == ("DX", film.view)
    shown = decode(path).pixels
    # Polarity and depth are undone: what is shown is what was drawn, but for the window.
    assert np.corrcoef(shown.ravel(), film.shown.ravel())[0, 1] > 0.98


def test_films_come_in_both_polarities_and_several_depths(tmp_path) -> None:
    films = [pydicom.dcmread(saved(tmp_path, synthetic_film(1, i, rows=64).content)) for i in range(40)]
    assert {film.PhotometricInterpretation for film in films} == {"MONOCHROME1", "MONOCHROME2"}
    assert {film.BitsStored for film in films} >= {10, 12, 14}
    assert {film.ViewPosition for film in films} == {"PA", "AP"}
    assert all("SYNTHETIC" in film.ImageComments for film in films)


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("seed", range(4))
def test_a_finding_changes_the_film_where_its_mask_says(label: str, seed: int) -> None:
    film = synthetic_film(seed, 0, rows=128, findings=[label])
    assert film.labels == {name: int(name == label) for name in LABELS}
    assert set(film.masks) == {label}
    mask = film.masks[label]
    assert mask.shape == film.lungs.shape
    assert mask.any()
    if label in LUNG_FINDINGS:
        assert not (mask & ~film.lungs).any()
        healthy = synthetic_film(seed, 0, rows=128, findings=[])
        change = np.abs(film.shown - healthy.shown)
        assert change[mask].mean() > 2 * change[~mask].mean()


def test_an_enlarged_heart_is_wide() -> None:
    def ratio(findings: list[str], seed: int) -> float:
        film = synthetic_film(seed, 0, rows=128, findings=[*findings, "Cardiomegaly"] if findings else [])
        if not findings:
            return 0.0
        heart, chest = (np.flatnonzero(m.any(0)) for m in (film.masks["Cardiomegaly"], film.lungs))
        return float(np.ptp(heart) / np.ptp(chest))

    assert all(ratio(["Nodule"], seed) > 0.5 for seed in range(5))


def test_a_finding_that_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match="Hernia"):
        synthetic_film(1, 0, findings=["Hernia"])


def test_a_written_set_lists_its_films_and_some_patients_twice(tmp_path) -> None:
    with write_films(tmp_path / "set", 24, seed=2, rows=64).open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 24
    patients = [row["patient_id"] for row in rows]
    assert len(set(patients)) == 18
    assert all((tmp_path / "set" / row["file"]).is_file() for row in rows)
    hearts: dict[str, set[str]] = {}
    for row in rows:
        hearts.setdefault(row["patient_id"], set()).add(row["Cardiomegaly"])
    assert all(len(values) == 1 for values in hearts.values())


def test_labels_tell_nothing_of_how_a_film_was_taken(tmp_path) -> None:
    labels, nuisance = [], []
    for index in range(200):
        film = synthetic_film(11, index, rows=64)
        header = pydicom.dcmread(saved(tmp_path, film.content))
        border = np.concatenate([film.shown[0], film.shown[-1], film.shown[:, 0], film.shown[:, -1]])
        labels.append([film.labels[label] for label in LABELS])
        nuisance.append(
            [film.view == "AP", header.PhotometricInterpretation == "MONOCHROME1", header.BitsStored,
             "WindowWidth" in header, header.Columns, film.age, film.sex == "F", border.mean(), border.std()]
        )  # fmt: skip
    joint = np.corrcoef(np.array(labels, float).T, np.array(nuisance, float).T)
    between = joint[: len(LABELS), len(LABELS) :]
    assert np.abs(between).max() < 0.25  # chance alone stays below 3.5 / sqrt(200)
