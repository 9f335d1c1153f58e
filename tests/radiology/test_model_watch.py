"""How the film model does here, as its watcher sees it: by reads, by what films are like, by its pace."""

from __future__ import annotations

from datetime import timedelta
from itertools import count

import pandas as pd
import pytest

from apps.core.clock import now
from apps.modelops.common.places import dataset_folder
from apps.modelops.models import Alarm, WatchReading
from apps.modelops.tasks import watch
from apps.modelops.watch.services import costs
from apps.modelops.watch.services.costs import spent_on
from apps.radiology.lifecycle.model_watch import reliability
from apps.radiology.models import Comparison, Instance, Status, Study

numbers = count()
TEST = {"auc": 0.95, "sensitivity": 0.95, "specificity": 0.95, "brier": 0.02, "ece": 0.02}
VIEWS = ["PA"] * 80 + ["AP"] * 20


@pytest.fixture
def serving(version, site, settings, tmp_path):
    """A version that was tested, and whose training films say what they are like."""
    settings.VAR_DIR = tmp_path
    form = {"mb": 1, "ms_1": 20, "ms_16": 200, "cpu_s_per_1000": 25, "auc": 0.9, "auc_loss": 0.0}
    version.metrics = {
        "test": {"findings": {"Effusion": TEST}},
        "inference": {"variants": {"onnx": {**form, "accepted": True}}},
    }
    version.variant = "onnx"
    version.save()
    folder = dataset_folder(site, "radiology", "x")
    folder.mkdir(parents=True)
    told = {
        "split": ["train"] * 100 + ["test"], "meta:view": [*VIEWS, "LL"], "meta:age": ["050Y"] * 101,
        "meta:modality": ["DX"] * 101, "meta:Manufacturer": ["North"] * 90 + ["South"] * 11,
    }  # fmt: skip
    pd.DataFrame(told).to_parquet(folder / "films.parquet")
    return version


def studies_of(site, n: int, **about) -> list[Study]:
    given = {"received_at": now(), "changed_at": now(), **about}
    return Study.objects.bulk_create(
        Study(site=site, StudyInstanceUID=f"1.2.8.{next(numbers)}", **given) for _ in range(n)
    )


@pytest.fixture
def read(site, version):
    def make(n: int, *, called: bool, present: bool, version=version, label="Effusion") -> None:
        Comparison.objects.bulk_create(
            Comparison(study=study, version=version, label=label, called=called, blind=present,
                       present=present, probability=0.9 if called else 0.1, site=site, read_at=now())
            for study in studies_of(site, n)
        )  # fmt: skip

    return make


@pytest.fixture
def film(site):
    def make(n: int, view="PA", code="", seconds=4, maker="North", **about) -> None:
        at = now()
        Instance.objects.bulk_create(
            Instance(study=study, site=site, SOPInstanceUID=f"{study.StudyInstanceUID}.1", Rows=1, Columns=1,
                     ViewPosition=view, Modality="dx", Manufacturer=maker,
                     status=Status.NOT_ANALYSED if code else Status.ANALYSED,
                     reason_code=code, file_bytes=1, received_at=at,
                     analysed_at=at + timedelta(seconds=seconds))
            for study in studies_of(site, n, PatientAge="050Y", PatientSex="F", **about)
        )  # fmt: skip

    return make


def seen() -> dict[str, WatchReading]:
    watch("radiology")
    return {one.measure: one for one in WatchReading.objects.order_by("measure")}


def opened() -> list[str]:
    return list(Alarm.objects.filter(closed_at=None).order_by("measure").values_list("measure", flat=True))


def test_reads_say_how_good_it_is_against_its_own_test(serving, read) -> None:
    read(30, called=True, present=True)
    read(30, called=False, present=True)
    read(190, called=False, present=False)
    read(10, called=True, present=False)
    found = seen()
    told = found["sensitivity"]
    assert (told.value, told.reference, told.n) == (0.5, 0.95, 60)
    assert 0.3 < told.low < 0.5 < told.high < 0.7
    assert found["specificity"].value == 0.95
    assert told.says == "260 studies read, findings present in them: 60"
    assert found["brier"].value == pytest.approx((30 * 0.01 + 30 * 0.81 + 190 * 0.01 + 10 * 0.81) / 260)
    assert opened() == ["auc", "brier", "sensitivity"]
    assert Alarm.objects.get(measure="sensitivity").limit == pytest.approx(0.85)
    assert sum(row[4] for row in reliability(serving.dataset.site, serving)) == 260


def test_a_finding_its_test_could_not_measure_is_in_neither_mean(serving, read) -> None:
    read(40, called=True, present=True)
    read(40, called=False, present=True, label="Nodule")
    told = seen()["sensitivity"]
    assert (told.value, told.reference) == (1.0, 0.95)


def test_what_another_version_called_is_not_held_against_it(serving, read, site) -> None:
    from apps.modelops.models import ModelVersion, TrainingJob

    job = TrainingJob.objects.create(site=site, domain="radiology", dataset=serving.dataset, preset="tiny")
    older = ModelVersion.objects.create(
        model=serving.model, number=2, artefact_hash="1" * 64, dataset=serving.dataset, job=job
    )
    read(60, called=False, present=True, version=older)
    read(19, called=False, present=True)
    told = seen()["sensitivity"]
    assert (told.value, told.says) == (None, "Too few to say: 19 of the 20 that it takes.")
    assert opened() == []


def test_films_unlike_the_training_films_and_another_mix_are_noticed(serving, film) -> None:
    film(40, "AP", maker="South ")
    film(60, "PA", maker="South ")
    film(2, code="outside_validated")
    film(50, code="lateral")  # the model never saw these
    found = seen()
    assert (found["unusual"].value, found["unusual"].n) == (pytest.approx(2 / 102), 102)
    assert found["view_mix"].value == pytest.approx(0.2)
    assert found["view_mix"].says == "AP 40%, in training 20%; PA 60%, in training 80%"
    assert found["age_mix"].value == 0.0
    assert found["sex_mix"].says == "The training films do not say."
    assert found["modality_mix"].value == 0.0
    assert found["maker_mix"].value == pytest.approx(0.9)
    assert found["maker_mix"].says == "NORTH 0%, in training 90%; SOUTH 100%, in training 10%"
    assert opened() == ["maker_mix"]
    film(30, code="outside_validated")
    film(100, "AP")
    assert (seen()["view_mix"].value, opened()) == (pytest.approx(0.5), ["maker_mix", "unusual", "view_mix"])


def test_the_maker_of_a_film_is_kept(received) -> None:
    assert received(Manufacturer="North Imaging").Manufacturer == "North Imaging"


def test_volume_and_latency_and_cost(serving, film, site) -> None:
    film(100)
    assert seen()["volume"].says == "Studies came in on fewer than 4 such days."
    for week in range(1, 5):
        studies_of(site, 10 * week, received_at=now() - timedelta(weeks=week, hours=1))
    found = seen()
    assert (found["volume"].value, found["volume"].says) == (4.0, "100 in 24 hours, usually 25")
    assert (found["latency"].value, found["latency"].n) == (4.0, 100)
    assert (found["cost"].value, found["cost"].n) == (0.025, 0)  # as training measured it
    film(100, seconds=900)
    assert seen()["latency"].value == 900
    assert opened() == ["latency"]
    Study.objects.filter(received_at__gte=now() - timedelta(days=1)).update(
        received_at=now() - timedelta(weeks=1, hours=1)
    )
    studies_of(site, 3)
    assert "volume" in (seen() and opened())


def test_what_judging_costs_is_kept_by_the_workers_that_judge(serving, film, site, monkeypatch) -> None:
    film(30)
    clock = iter((1.0, 1.6, 2.0, 2.4, 3.0))
    monkeypatch.setattr(costs.time, "process_time", lambda: next(clock))
    with spent_on(serving.pk, 8):
        pass
    with spent_on(serving.pk, 2):
        pass
    with pytest.raises(ValueError, match="no probability"), spent_on(serving.pk, 5):
        raise ValueError("no probability")
    told = seen()["cost"]
    assert (told.value, told.n) == (pytest.approx(0.1), 10)
    assert told.says == "10 films of 24 hours, of every site"
