"""From a committed read to a row of the frozen dataset, and to "Your reads in the next model"."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from django.core.management import CommandError, call_command

from apps.core.clock import now
from apps.modelops.common.places import dataset_folder
from apps.modelops.datasets.services.datasets import check_unchanged
from apps.modelops.models import DatasetSnapshot, HeldOutCase, ModelVersion, TrainingJob
from apps.radiology.lifecycle.read_news import read_news
from apps.radiology.lifecycle.services.datasets import dealing_of
from apps.radiology.lifecycle.services.freeze_reads import export_reads, freeze_reads, patient_key, who_of
from apps.radiology.models import (
    Adjudication,
    Draw,
    FrozenLabel,
    Instance,
    Purpose,
    Read,
    ReadState,
    RejectionNote,
    Study,
)
from ml.radiology.importing import freeze_images, load_frozen
from ml.radiology.reader_labels import WEIGHT_MAX
from ml.radiology.splits import part_of, split
from ml.radiology.synthetic import LABELS, write_films


def freeze(name: str = "reads") -> DatasetSnapshot:
    call_command("freeze_reads", name=name)
    return DatasetSnapshot.objects.get(name=name)


@pytest.fixture
def table(site):
    def open_(name: str = "reads") -> pd.DataFrame:
        return load_frozen(dataset_folder(site, "radiology", name)).table

    return open_


def test_it_works(radiologist, study, read_by, table) -> None:
    """A read's marks, with their reader and time, beside the film they are of; what is unsure is unknown."""
    read = read_by(radiologist, study, Effusion="present", Nodule="unsure")
    Study.objects.update(PatientSex="F", PatientAge="061Y")
    Instance.objects.update(Manufacturer="North Imaging")
    snapshot = freeze()
    check_unchanged(snapshot)
    rows = table()
    [row] = rows.to_dict("records")
    assert row["finding:Effusion"] == 1
    assert "finding:Nodule" not in row
    assert row["meta:Effusion read by"] == f"user:{read.reader_id}"
    assert row["meta:Effusion read at"] == read.marks.get(label="Effusion").at.isoformat()
    assert (row["meta:sex"], row["meta:age"], row["meta:view"]) == ("F", "061Y", "PA")
    assert (row["meta:modality"], row["meta:manufacturer"]) == ("DX", "North Imaging")
    assert row["meta:selection_probability"] == "1.0"
    assert study.PatientID not in json.dumps({key: str(value) for key, value in row.items()})
    assert snapshot.summary["findings"]["Effusion"] == {"present": 1, "absent": 0, "unknown": 0}
    kept = FrozenLabel.objects.get()
    assert (kept.dataset, kept.read, kept.label, kept.present) == (snapshot, read, "Effusion", True)


def spoil(how: str, study: Study) -> None:
    if how == "concurrent":
        study.reads.update(ai_exposure="full")
    if how == "retracted":
        study.reads.update(state=ReadState.RETRACTED)
    if how == "draft":
        study.reads.update(state=ReadState.DRAFT, committed_at=None, ai_exposure="")
    if how == "withdrawn":
        Study.objects.filter(pk=study.pk).update(withdrawn=True)
    if how == "rejected":
        note = RejectionNote.objects.create(
            site=study.site, SOPInstanceUID="1.2.3", code="113001", file_sha256="", content_sha256="",
            sender="x", received_at=now(),
        )  # fmt: skip
        Instance.objects.filter(study=study).update(rejected_by=note)
    if how == "undecoded":
        Instance.objects.filter(study=study).update(status="refused")


@pytest.fixture
def two(radiologist, received, judged, read_by):
    """Two patients' studies, read alike."""
    studies = []
    for number in "12":
        instance = judged(
            received(PatientID=number, StudyInstanceUID=f"1.2.3.{number}", seed=int(number)),
            Effusion=(0.83, 0.41), Nodule=(0.1, 0.3),
        )  # fmt: skip
        read_by(radiologist, instance.study, Effusion="present", Nodule="absent")
        studies.append(instance.study)
    return studies


@pytest.mark.parametrize("how", ["concurrent", "retracted", "draft", "withdrawn", "rejected", "undecoded"])
def test_what_may_not_teach_is_not_there(two, table, how) -> None:
    """Both are frozen as they are; spoiled, the one is not."""
    freeze("before")
    assert set(table("before")["patient_id"]) == {patient_key(study) for study in two}
    spoil(how, two[0])
    freeze("after")
    assert list(table("after")["patient_id"]) == [patient_key(two[1])]
    assert set(FrozenLabel.objects.filter(dataset__name="after").values_list("read", flat=True)) == {
        two[1].reads.get().pk
    }


def test_films_brought_along_teach_with_what_was_read_here(two, table, site, tmp_path) -> None:
    """Each keeps its part; of a film in both the word of who read it here stands."""
    call_command("simulate_films", "--name", "brought", "--films", "40", "--workers", "1")
    base = DatasetSnapshot.objects.get(name="brought")
    before = load_frozen(dataset_folder(site, "radiology", "brought"))
    made = freeze_reads(site, "both", base=base)
    both = load_frozen(dataset_folder(site, "radiology", "both"))
    assert len(both.table) == len(before.table) + 2
    assert set(both.findings) == set(before.findings) | {"Effusion", "Nodule"}
    old = both.table[both.table["file"].str.startswith("brought/")]
    assert list(old["split"]) == list(before.table["split"])
    for row, was in ((int(old.index[0]), 0), (int(old.index[-1]), len(before.table) - 1)):
        assert (both.film(row) == before.film(was)).all()
        for finding in before.findings:
            said = before.labels[was, before.findings.index(finding)]
            assert both.labels[row, both.findings.index(finding)] == said
    assert made.summary["provenance"]["together with"] == "brought"
    assert FrozenLabel.objects.filter(dataset=made).count() == 4


def test_a_film_that_is_in_both_is_there_once(tmp_path) -> None:
    folder = tmp_path / "films"
    labels = write_films(folder, 12, seed=3, rows=128, workers=1)
    freeze_images(folder, labels, list(LABELS), tmp_path / "all", "all")
    some = tmp_path / "some.csv"
    some.write_text("".join(labels.read_text().splitlines(keepends=True)[:4]))
    freeze_images(folder, some, [LABELS[0]], tmp_path / "both", "both", base=tmp_path / "all")
    both = load_frozen(tmp_path / "both")
    assert len(both.table) == 12
    assert both.table["pixel_sha256"].is_unique
    assert np.isnan(both.labels[:3, 1:]).all()  # what was said newly says nothing of the others
    assert not np.isnan(both.labels[3:]).any()


def test_without_the_rules_it_would_be(two, table, monkeypatch) -> None:
    Read.objects.filter(study=two[0]).update(ai_exposure="full")
    monkeypatch.setattr("ml.radiology.reader_labels.why_no_label", lambda read: None)
    monkeypatch.setattr("apps.radiology.studies.read_labels.why_no_label", lambda read: None)
    freeze()
    assert len(table()) == 2


def test_what_was_settled_goes_in_and_whom_it_overrules_does_not(two, table, make_user) -> None:
    judge = make_user("radiologist", email="judge@north.example")
    Adjudication.objects.create(
        study=two[0], label="Effusion", verdict="absent", reason="overcalled", by=judge, independent=True,
        at=now(),
    )  # fmt: skip
    freeze()
    row = table().set_index("patient_id").loc[patient_key(two[0])]
    assert row["finding:Effusion"] == 0
    assert row["meta:Effusion adjudicated"] == "1"
    assert row["meta:Effusion read by"] == f"user:{judge.pk}"
    assert set(FrozenLabel.objects.filter(read__study=two[0]).values_list("label", flat=True)) == {"Nodule"}


def test_all_studies_of_a_patient_are_one_patients(two) -> None:
    assert patient_key(two[0]) != patient_key(two[1])
    Study.objects.filter(pk=two[1].pk).update(PatientID="1")
    assert patient_key(two[0]) == patient_key(Study.objects.get(pk=two[1].pk))


def test_a_drawn_study_takes_its_chance_along(two, table) -> None:
    Study.objects.update(raised=False)
    Draw.objects.create(study=two[0], purpose=Purpose.SAMPLE, value=0.01, probability=0.05, at=now())
    snapshot = freeze()
    rows = table().set_index("patient_id")
    drawn, other = rows.loc[patient_key(two[0])], rows.loc[patient_key(two[1])]
    assert (drawn["meta:selection_probability"], other["meta:selection_probability"]) == ("0.05", "")
    assert (drawn["weight"], other["weight"]) == (WEIGHT_MAX, 1)  # 20, but for the cap
    told = {"cap": WEIGHT_MAX, "films that weigh more than 1": 1, "heaviest": WEIGHT_MAX, "sum of all": 11}
    assert snapshot.summary["weights"] == told
    Draw.objects.update(value=0.01, probability=0.25)
    freeze("again")
    assert sorted(table("again")["weight"]) == [1, 4]


def test_where_nothing_may_teach_it_says_so(study) -> None:
    with pytest.raises(CommandError, match="No read of this site has a label yet"):
        freeze()


def test_readers_see_where_their_reads_went_and_why_not(radiologist, other, two, read_by) -> None:
    read_by(other, two[1], Effusion="absent")
    Read.objects.filter(study=two[0]).update(ai_exposure="full")
    page = radiologist.get("/radiology/reads/").content.decode()
    assert "None: what the model found was open before the commit" in page
    assert "Not pleural effusion: two readers disagree and nobody has settled it" in page
    assert "None of your reads is in a frozen dataset yet" in page
    snapshot = freeze("spring")
    job = TrainingJob.objects.create(site=snapshot.site, domain="radiology", dataset=snapshot, preset="tiny")
    model = ModelVersion.objects.get().model
    ModelVersion.objects.create(model=model, number=41, artefact_hash="1" * 64, dataset=snapshot, job=job)
    page = radiologist.get("/radiology/reads/").content.decode()
    assert "spring" in page
    assert "version 41" in page
    assert "None of your reads" in other.get("/radiology/reads/").content.decode()


def test_what_tested_once_does_not_teach_under_another_number(two, table, monkeypatch) -> None:
    """A patient whose films tested gets a number whose part would be train: they are held out."""
    monkeypatch.setattr("apps.radiology.lifecycle.services.freeze_reads.part_of", lambda who, key: "test")
    freeze("first")
    monkeypatch.setattr("apps.radiology.lifecycle.services.freeze_reads.part_of", lambda who, key: "train")
    freeze("second")
    assert set(table("first")["split"]) == {"test"}
    assert set(table("second")["split"]) == {"held"}
    assert HeldOutCase.objects.count() == 2
    HeldOutCase.objects.all().delete()  # without the record they would
    freeze("third")
    assert "train" in set(table("third")["split"])


def test_an_import_and_reads_give_a_patient_the_same_part(two, table, site, tmp_path) -> None:
    freeze()
    dealing = dealing_of(site)
    assert {part_of(who_of(study), dealing.key) for study in two} == set(table()["split"])
    assert split(["1", "2"], ["a", "b"], ["", ""], dealing) == [part_of(who_of(s), dealing.key) for s in two]


def test_what_is_left_out_is_told_with_whose_word_is_in(radiologist, other, two, read_by) -> None:
    Read.objects.filter(study=two[0]).update(ai_exposure="full")
    summary = freeze().summary
    assert summary["reads left out"] == {"what the model found was open before the commit": 1}
    told = summary["provenance"]
    assert (told["source"], told["labels"], told["adjudicated"], told["authors"]) == ("blind reads", 2, 0, 1)
    news = read_news(two[0].site, None)
    assert news["preliminary reads"] + news["signed reads"] == 2
    assert sum(read_news(two[0].site, now()).values()) == 0
    with pytest.raises(ValueError, match="No read of this site has a label"):
        export_reads(two[0].site, "none", frozenset({"synthetic"}), radiologist, lambda *_: None)
