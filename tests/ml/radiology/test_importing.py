"""Folders, tars and tables in; a frozen dataset out, split by patient, or a sentence why not."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ml.radiology import importing, splits
from ml.radiology.dicom import decode
from ml.radiology.importing import check_images, freeze_images, load_frozen
from ml.radiology.reading import read_film
from ml.radiology.splits import Dealing, cases_held, split
from ml.radiology.synthetic import LABELS
from ml.radiology.transforms import shrink
from tests.films import N_FILMS

RNG = np.random.default_rng(0)


def pixels(n: int) -> list[str]:
    """As many hashes, no two alike."""
    return [f"{i:064x}" for i in range(n)]


def png(seed: int, side: int = 24) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (side, side), np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def pictures(tmp_path: Path):
    """Writes n pictures of n patients and their table; returns (folder, csv)."""

    def make(n: int = 40, **columns: list[str]) -> tuple[Path, Path]:
        folder = tmp_path / "pictures"
        folder.mkdir(exist_ok=True)
        for i in range(n):
            (folder / f"{i}.png").write_bytes(png(i))
        table = {"file": [f"{i}.png" for i in range(n)], "patient_id": [f"p{i}" for i in range(n)],
                 "Mass": [str(i % 2) for i in range(n)], **columns}  # fmt: skip
        pd.DataFrame(table).to_csv(tmp_path / "labels.csv", index=False)
        return folder, tmp_path / "labels.csv"

    return make


def test_dicom_films_freeze_as_they_are_shown(film_folder, tmp_path) -> None:
    frozen = freeze_images(film_folder, film_folder / "labels.csv", list(LABELS), tmp_path / "d", "x")
    data = load_frozen(tmp_path / "d")
    assert frozen.n == len(data.table) == N_FILMS
    assert frozen.n_patients == N_FILMS * 3 // 4
    assert data.findings == LABELS
    wanted = shrink(decode(film_folder / data.table["file"][7]).pixels)
    np.testing.assert_array_equal(data.film(7), wanted)
    assert set(data.table["split"]) == {"train", "val", "test", "gate"}
    assert "gate" not in set(data.taught().table["split"])
    assert data.table.groupby("patient_id")["split"].nunique().max() == 1
    assert "meta:age" in data.table
    assert not [path for path in (tmp_path / "d").iterdir() if path.suffix in (".npy", ".pkl")]


def test_a_tar_gives_what_its_folder_gives(pictures, tmp_path) -> None:
    folder, table = pictures(unknown_column=["x"] * 40)
    with tarfile.open(tmp_path / "films.tar.gz", "w:gz") as tar:
        tar.add(folder, arcname="inner")
    one = freeze_images(folder, table, ["mass"], tmp_path / "a", "x")
    other = freeze_images(tmp_path / "films.tar.gz", table, ["MASS"], tmp_path / "b", "x")
    tables = [load_frozen(tmp_path / name).table for name in "ab"]
    assert one.splits == other.splits
    pd.testing.assert_frame_equal(tables[0].drop(columns="offset"), tables[1].drop(columns="offset"))
    assert load_frozen(tmp_path / "a").film(3).tolist() == load_frozen(tmp_path / "b").film(3).tolist()


def test_unknown_labels_stay_unknown(pictures, tmp_path) -> None:
    folder, table = pictures(4, Mass=["1", "", "-1", "0"])
    frozen = freeze_images(folder, table, ["Mass"], tmp_path / "d", "x")
    assert frozen.findings["Mass"] == {"present": 1, "absent": 1, "unknown": 2}
    np.testing.assert_array_equal(load_frozen(tmp_path / "d").labels[:, 0], [1, np.nan, np.nan, 0])


def with_duplicates(pictures) -> tuple[Path, Path]:
    folder, table = pictures(60)
    for i in range(0, 60, 4):  # the same pixels under two patients
        (folder / f"{i + 1}.png").write_bytes((folder / f"{i}.png").read_bytes())
    return folder, table


def test_exact_copies_fall_into_one_part(pictures, tmp_path) -> None:
    folder, table = with_duplicates(pictures)
    frozen = freeze_images(folder, table, ["Mass"], tmp_path / "d", "x")
    assert frozen.n_duplicates == 15
    by_pixels = load_frozen(tmp_path / "d").table.groupby("pixel_sha256")["split"].nunique()
    assert by_pixels.max() == 1


def test_without_the_hashes_copies_would_leak(pictures, tmp_path, monkeypatch) -> None:
    folder, table = with_duplicates(pictures)
    honest = splits.groups_of
    monkeypatch.setattr(splits, "groups_of", lambda patients, hashes: honest(patients))
    freeze_images(folder, table, ["Mass"], tmp_path / "d", "x")
    assert load_frozen(tmp_path / "d").table.groupby("pixel_sha256")["split"].nunique().max() > 1


def test_a_given_split_stands_and_leaks_are_excluded() -> None:
    patients = ["p", "p", *(f"p{i}" for i in range(42))]
    given = ["train", "test", "test", "val", *["train"] * 38, "val", "val"]
    parts = split(patients, pixels(44), given)
    assert parts[:4] == ["excluded", "test", "test", "val"]
    assert parts[4:] == given[4:]


def test_a_missing_part_is_dealt_from_train_by_patient() -> None:
    patients = [f"p{i // 2}" for i in range(400)]
    parts = split(patients, pixels(400), ["train"] * 396 + ["val16"] * 4)
    assert set(parts) == {"train", "val", "test"}  # a published set has no gate unless it is asked for
    assert 40 <= parts.count("val") <= 80
    assert 40 <= parts.count("test") <= 80
    assert all(parts[i] == parts[i + 1] for i in range(0, 400, 2))
    asked = split(
        patients, pixels(400), ["train"] * 340 + ["val"] * 20 + ["test"] * 40, Dealing(gate_share=0.1)
    )
    assert 20 <= asked.count("gate") <= 50
    assert asked[340:] == ["val"] * 20 + ["test"] * 40


def test_a_patient_has_one_part_whatever_else_is_there() -> None:
    """Later, with others, from another door: the key and the number alone decide."""
    few = [f"p{i}" for i in range(50)]
    many = [f"p{i}" for i in range(2000)][::-1]
    key = Dealing(b"north")
    one = dict(zip(few, split(few, pixels(50), [""] * 50, key), strict=True))
    other = dict(zip(many, split(many, pixels(2000), [""] * 2000, key), strict=True))
    assert one == {patient: other[patient] for patient in few}
    assert one != dict(zip(few, split(few, pixels(50), [""] * 50, Dealing(b"south")), strict=True))
    shares = {part: list(other.values()).count(part) / 2000 for part in ("gate", "test", "val", "train")}
    assert shares == pytest.approx({"gate": 0.1, "test": 0.15, "val": 0.15, "train": 0.6}, abs=0.03)


def held_by_the_first() -> tuple[dict[str, str], list[str]]:
    """What a first dataset of 200 patients holds out, and its films' pixels."""
    patients, films = [f"p{i}" for i in range(200)], pixels(200)
    frame = pd.DataFrame({"patient_id": patients, "pixel_sha256": films, "given": ""})
    frame["split"] = split(patients, films, [""] * 200)
    return cases_held(frame, b""), films


def given_anew(held: dict[str, str], films: list[str]) -> list[str]:
    """The parts of the films that were test or gate, in a set that says of all that they train."""
    patients = [f"q{i}" for i in range(400)]
    given = ["train"] * 300 + ["val"] * 40 + ["test"] * 60
    parts = split(patients, films + pixels(400)[200:], given, Dealing(held=held))
    return [part for part, film in zip(parts, films, strict=False) if f"pixels:{film}" in held]


def test_what_tested_once_never_teaches_whatever_a_table_says() -> None:
    held, films = held_by_the_first()
    assert set(held.values()) == {"test", "gate"}
    assert set(given_anew(held, films)) == {"held"}


def test_without_the_guard_it_would(monkeypatch) -> None:
    monkeypatch.setattr("ml.radiology.splits.may_not", lambda part, before: False)
    assert "train" in given_anew(*held_by_the_first())


def test_a_copy_under_another_number_stays_where_the_first_was() -> None:
    held, films = held_by_the_first()
    parts = split([f"q{i}" for i in range(200)], films, [""] * 200, Dealing(b"", 0.0, held))
    assert all(
        held[f"pixels:{film}"] == part
        for film, part in zip(films, parts, strict=True)
        if f"pixels:{film}" in held
    )


@pytest.mark.parametrize("word", ["trian", "holdout", "fold3"])
def test_a_word_that_names_no_part_is_refused_by_name(pictures, tmp_path, word: str) -> None:
    folder, table = pictures(split=["train"] * 39 + [word])
    with pytest.raises(ValueError, match=f"'{word}'.*no part"):
        freeze_images(folder, table, ["Mass"], tmp_path / "d", "x")
    assert not (tmp_path / "d").exists()


def test_the_case_of_the_split_column_and_its_words_does_not_matter(pictures, tmp_path) -> None:
    words = ["TRAIN"] * 20 + ["Valid"] * 8 + ["val16"] * 2 + ["Testing"] * 10
    folder, table = pictures(Split=words)
    frozen = freeze_images(folder, table, ["Mass"], tmp_path / "d", "x")
    assert frozen.splits == {"train": 20, "val": 10, "test": 10}
    assert "meta:Split" not in load_frozen(tmp_path / "d").table


def test_without_its_column_found_the_given_split_is_dealt_anew(pictures, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(importing, "_own_names", lambda source: source)
    folder, table = pictures(Split=["train"] * 20 + ["val"] * 10 + ["test"] * 10)
    freeze_images(folder, table, ["Mass"], tmp_path / "d", "x")
    assert (
        load_frozen(tmp_path / "d").table["split"].tolist() != ["train"] * 20 + ["val"] * 10 + ["test"] * 10
    )


def test_an_import_that_fails_leaves_nothing_and_may_be_tried_again(pictures, tmp_path, monkeypatch) -> None:
    folder, table = pictures(20)
    (tmp_path / "sets").mkdir()

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(pd.DataFrame, "to_parquet", full)
        with pytest.raises(OSError, match="No space"):
            freeze_images(folder, table, ["Mass"], tmp_path / "sets" / "d", "x")
    assert list((tmp_path / "sets").iterdir()) == []
    assert freeze_images(folder, table, ["Mass"], tmp_path / "sets" / "d", "x").n == 20
    with pytest.raises(FileExistsError):
        freeze_images(folder, table, ["Mass"], tmp_path / "sets" / "d", "x")


def test_a_dry_run_reports_and_writes_nothing(pictures, tmp_path) -> None:
    folder, table = pictures(12)
    (folder / "3.png").write_bytes(png(3)[:50])
    (folder / "4.png").unlink()
    (folder / "5.png").write_bytes(b"no image")
    before = sorted(tmp_path.rglob("*"))
    report = check_images(folder, table, ["Mass"])
    assert (report.n, report.skipped) == (9, {"undecodable": 1, "missing": 1, "not_dicom": 1})
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "a\\..\\b.png", ""])
def test_a_table_that_leads_outside_is_refused(pictures, tmp_path, name: str) -> None:
    folder, table = pictures(2, file=["0.png", name])
    with pytest.raises(ValueError, match=r"leads out|needs a file"):
        freeze_images(folder, table, ["Mass"], tmp_path / "d", "x")


def test_a_tar_that_leads_outside_is_refused(pictures, tmp_path) -> None:
    _, table = pictures(2)
    with tarfile.open(tmp_path / "films.tar", "w") as tar:
        member = tarfile.TarInfo("../0.png")
        member.size = len(png(0))
        tar.addfile(member, io.BytesIO(png(0)))
    with pytest.raises(ValueError, match="leads out"):
        freeze_images(tmp_path / "films.tar", table, ["Mass"], tmp_path / "d", "x")


def test_links_are_not_followed_out_of_the_images(pictures, tmp_path) -> None:
    folder, table = pictures(2)
    (tmp_path / "secret.png").write_bytes(png(9))
    (folder / "1.png").unlink()
    os.symlink(tmp_path / "secret.png", folder / "1.png")
    with pytest.raises(ValueError, match="link"):
        freeze_images(folder, table, ["Mass"], tmp_path / "d", "x")
    with tarfile.open(tmp_path / "films.tar", "w") as tar:
        tar.add(folder / "0.png", "0.png")
        link = tarfile.TarInfo("1.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    assert check_images(tmp_path / "films.tar", table, ["Mass"]).skipped == {"missing": 1}


def test_sizes_are_limited_before_pixels_are_read(tmp_path) -> None:
    from ml.radiology.contracts import DicomRefused
    from ml.radiology.parsing import Limits

    path = tmp_path / "large.png"
    path.write_bytes(png(1, 100))
    for limits in (Limits(max_pixels=9_999), Limits(max_file_bytes=100)):
        with pytest.raises(DicomRefused) as caught:
            read_film(path, limits)
        assert caught.value.code == "too_large"


def test_sixteen_bits_and_colour_become_grey(tmp_path) -> None:
    from ml.radiology.parsing import Limits

    Image.fromarray(np.array([[0, 65535], [32768, 16384]], np.uint16)).save(tmp_path / "deep.png")
    np.testing.assert_allclose(
        read_film(tmp_path / "deep.png", Limits()).pixels, [[0, 1], [0.5, 0.25]], atol=1e-4
    )
    Image.new("RGB", (4, 4), (255, 255, 255)).save(tmp_path / "colour.jpg")
    assert read_film(tmp_path / "colour.jpg", Limits()).pixels.min() == 1


@pytest.mark.parametrize(
    ("columns", "findings", "says"),
    [
        ({"Mass": ["1", "yes"]}, ["Mass"], "row 3"),
        ({}, ["Hernia"], "no column 'Hernia'"),
        ({}, [], "at least one finding"),
        ({"file": ["0.png", "0.png"]}, ["Mass"], "twice"),
        ({"patient_id": ["p", ""]}, ["Mass"], "patient_id"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(pictures, columns, findings, says) -> None:
    with pytest.raises(ValueError, match=says):
        check_images(*pictures(2, **columns), findings)


def test_it_counts_what_each_part_holds_and_what_looks_alike(film_folder, tmp_path) -> None:
    folder = tmp_path / "films"
    folder.mkdir()
    rows = pd.read_csv(film_folder / "labels.csv", dtype=str).iloc[:30]
    for number, name in enumerate(rows["file"]):
        grey = (decode(film_folder / name).pixels * 255).astype(np.uint8)
        Image.fromarray(grey).save(folder / f"{number}.png")
        if number < 5:  # sent again, smaller
            Image.fromarray(grey).resize((80, 80), Image.Resampling.BICUBIC).save(
                folder / f"{number}-again.png"
            )
    names = [f"{i}.png" for i in range(30)] + [f"{i}-again.png" for i in range(5)]
    table = pd.DataFrame({"file": names, "patient_id": [f"p{i}" for i in range(35)], "Mass": "1"})
    table.to_csv(tmp_path / "l.csv", index=False)
    frozen = freeze_images(folder, tmp_path / "l.csv", ["Mass"], tmp_path / "d", "x")
    assert sum(part["Mass"] for part in frozen.parts.values()) == 35
    assert frozen.near_duplicates["pairs"] == 5
    assert frozen.provenance["source"] == "imported table"
    assert json.loads((tmp_path / "d" / "manifest.json").read_text())["near_duplicates"]["pairs"] == 5


def test_a_changed_dataset_is_noticed(pictures, tmp_path) -> None:
    freeze_images(*pictures(5), ["Mass"], tmp_path / "d", "x")
    pixels = tmp_path / "d" / "pixels.bin"
    pixels.write_bytes(pixels.read_bytes()[:-1] + b"!")
    with pytest.raises(ValueError, match="not what was frozen"):
        load_frozen(tmp_path / "d")
    assert json.loads((tmp_path / "d" / "manifest.json").read_text())["name"] == "x"


def test_age_sex_and_view_are_metadata_under_one_name_whatever_the_case(pictures, tmp_path) -> None:
    folder, table = pictures(Sex=["F"] * 40, AGE=["40"] * 40, Scanner=["A"] * 40)
    freeze_images(folder, table, ["Mass"], tmp_path / "d", "x")
    columns = set(load_frozen(tmp_path / "d").table.columns)
    assert {"meta:sex", "meta:age", "meta:Scanner"} <= columns
