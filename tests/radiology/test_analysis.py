"""The worker's part: decode apart, judge or say why not, one worker at a time, whatever the file does."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from pydicom.uid import DeflatedExplicitVRLittleEndian

from apps.core.clock import now
from apps.radiology.analysis.inference import Champion
from apps.radiology.analysis.services import analyse
from apps.radiology.analysis.services.analyse import analyse_instance
from apps.radiology.analysis.services.claims import claim, overdue, ring_overdue
from apps.radiology.analysis.services.outcomes import Outcome, finish
from apps.radiology.common import decoding
from apps.radiology.common.store import film_path, picture_path
from apps.radiology.models import Analysis, Finding, Instance, Status, Study
from apps.radiology.tasks import analyse_instance as task
from ml.radiology.contracts import ACCEPTED, GateVerdict, ImagePrediction, InstanceHeader
from ml.radiology.imagegate import OUTSIDE
from tests.radiology.conftest import as_file, film

MIB = 1024**2


def outcome(instance: Instance) -> tuple[str, str]:
    analyse_instance(instance.pk)
    instance.refresh_from_db()
    return instance.status, instance.reason_code


def huge() -> bytes:
    """32 MB of pixels in a small file: to be shown it needs several times as much."""
    data = film(Rows=4000, Columns=4000, PixelData=bytes(4000 * 4000 * 2))
    data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    return as_file(data)


def test_it_works(received, radiologist) -> None:
    instance = received()
    task.run(instance.pk)
    instance.refresh_from_db()
    assert (instance.status, instance.reason_code) == (Status.RECEIVED, "no_model")
    assert "no model" in instance.reason
    assert instance.has_picture
    assert len(instance.pixel_sha256) == 64
    assert picture_path(instance.site, instance.file_sha256).read_bytes().startswith(b"\x89PNG")
    assert Study.objects.get().status == Status.RECEIVED


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"Modality": "CT"}, "modality"),
        ({"BodyPartExamined": "HAND"}, "body_part"),
        ({"BodyPartExamined": ""}, "body_part_unknown"),
        ({"ViewPosition": "LL"}, "view"),
        ({"PresentationIntentType": "FOR PROCESSING"}, "for_processing"),
        ({"Rows": 24, "Columns": 320}, "too_small"),
    ],
)
def test_what_the_model_was_not_made_for_is_shown_but_not_analysed(received, changes, code) -> None:
    instance = received(**changes)
    assert outcome(instance) == (Status.NOT_ANALYSED, code)
    assert instance.reason.startswith("Not analysed: ")
    assert instance.has_picture
    assert instance.analysed_at
    assert Study.objects.get().status == Status.NOT_ANALYSED
    assert not Analysis.objects.exists()


def test_what_is_found_undecodable_later_is_refused(received) -> None:
    instance = received(Rows=200)
    assert outcome(instance) == (Status.REFUSED, "truncated")
    assert not instance.has_picture
    assert Study.objects.get().status == Status.REFUSED


def test_a_model_that_cannot_be_loaded_leaves_films_waiting(received, version) -> None:
    instance = received()
    assert outcome(instance) == (Status.RECEIVED, "model_unreadable")


def test_without_the_gate_a_hand_would_be_the_models_to_judge(received, monkeypatch) -> None:
    assert outcome(received(BodyPartExamined="HAND")) == (Status.NOT_ANALYSED, "body_part")
    monkeypatch.setattr(analyse, "gate", lambda header: ACCEPTED)
    assert outcome(received(BodyPartExamined="HAND", seed=1)) == (Status.RECEIVED, "no_model")


def test_a_film_that_waits_is_not_decoded_again_in_vain(received, monkeypatch) -> None:
    instance = received()
    outcome(instance)
    monkeypatch.setattr(analyse, "reduce_apart", lambda path: pytest.fail("decoded again"))
    assert outcome(instance) == (Status.RECEIVED, "no_model")


def test_findings_are_stored_with_their_version_and_raise_the_study(received, judged, version) -> None:
    judged(received(), Effusion=(0.8, 0.4), Nodule=(0.1, 0.3))
    study = Study.objects.get()
    assert (study.status, study.raised, study.raised_by) == (Status.ANALYSED, True, ["Effusion"])
    assert Analysis.objects.get().version == version
    assert Finding.objects.count() == 2


def test_the_study_is_under_way_while_any_film_is(received, judged) -> None:
    data = film()
    first = received(as_file(data))
    second = received(StudyInstanceUID=data.StudyInstanceUID, BodyPartExamined="HAND")
    judged(first, Effusion=(0.8, 0.4))
    study = Study.objects.get()
    assert (study.status, study.raised) == (Status.ANALYSING, True)
    outcome(second)
    study.refresh_from_db()
    assert (study.status, study.raised_by) == (Status.ANALYSED, ["Effusion"])
    received(StudyInstanceUID=data.StudyInstanceUID)
    study.refresh_from_db()
    assert study.status == Status.ANALYSING


def test_memory_is_bounded_in_the_child_and_the_worker_lives(received, settings) -> None:
    settings.LYNCEUS_DECODE_MEMORY_MB = 384
    instance = received(huge())
    assert outcome(instance) in {(Status.REFUSED, "too_large"), (Status.REFUSED, "undecodable")}
    assert outcome(received()) == (Status.RECEIVED, "no_model")


def test_without_the_memory_limit_the_same_film_passes(received, settings) -> None:
    settings.LYNCEUS_DECODE_MEMORY_MB = 4096
    assert outcome(received(huge())) == (Status.RECEIVED, "no_model")


def test_time_is_bounded_and_the_worker_lives(received, settings) -> None:
    settings.LYNCEUS_DECODE_TIMEOUT_S = 0.001
    instance = received()
    assert outcome(instance) == (Status.REFUSED, "undecodable")
    assert "too long" in instance.reason
    settings.LYNCEUS_DECODE_TIMEOUT_S = 60
    decoding.forget_decoders()
    assert outcome(received()) == (Status.RECEIVED, "no_model")


def test_a_child_that_was_killed_is_replaced(received) -> None:
    outcome(received())
    [used] = [decoder for decoder in decoding._made() if decoder._child]
    child = used._child
    child.kill()
    assert outcome(received()) == (Status.RECEIVED, "no_model")
    assert used._child is not child


def expire(instance: Instance) -> None:
    Instance.objects.filter(pk=instance.pk).update(lease_expires_at=now() - timedelta(seconds=1))


def test_an_instance_of_a_dead_worker_is_taken_up_after_its_lease(received) -> None:
    instance = received(Modality="CT")
    assert claim(instance.pk) is not None
    assert outcome(instance) == (Status.ANALYSING, "")
    expire(instance)
    assert outcome(instance) == (Status.NOT_ANALYSED, "modality")
    assert instance.attempts == 2


def test_a_worker_that_comes_back_too_late_changes_nothing(received) -> None:
    instance = received()
    late = claim(instance.pk)
    expire(instance)
    outcome(instance)
    current = claim(instance.pk)
    assert current.attempts == late.attempts  # a wait for a model counts from the start again
    finish([Outcome(late, Status.REFUSED, "undecodable", "late")])
    instance.refresh_from_db()
    assert instance.status == Status.ANALYSING
    finish([Outcome(current, Status.NOT_ANALYSED, "view", "in time")])
    instance.refresh_from_db()
    assert instance.reason == "in time"


def test_what_fails_again_and_again_is_given_up(received) -> None:
    instance = received()
    for _ in range(analyse.ATTEMPTS_MAX):
        claim(instance.pk)
        expire(instance)
    assert outcome(instance) == (Status.NOT_ANALYSED, "gave_up")


def at_once(pk: int, monkeypatch: Any) -> int:
    """How many of two workers decoded the instance."""
    decoded, start = [], threading.Barrier(2)
    real = analyse.reduce_apart
    monkeypatch.setattr(analyse, "reduce_apart", lambda path: decoded.append(path) or real(path))

    def work() -> None:
        try:
            start.wait(10)
            analyse_instance(pk)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return len(decoded)


@pytest.mark.django_db(transaction=True)
def test_of_two_workers_one_analyses(received, monkeypatch) -> None:
    assert at_once(received(Modality="CT").pk, monkeypatch) == 1


@pytest.mark.django_db(transaction=True)
def test_without_the_claim_both_would(received, monkeypatch) -> None:
    monkeypatch.setattr(analyse, "claim_waiting", lambda *_, **__: [])
    monkeypatch.setattr(analyse, "claim", lambda pk: Instance.objects.select_related("site").get(pk=pk))
    assert at_once(received(Modality="CT").pk, monkeypatch) == 2


def test_the_sweeper_rings_for_what_was_not_heard_and_not_all_the_time(received) -> None:
    instance = received()
    assert ring_overdue() == 0
    Instance.objects.update(received_at=now() - timedelta(minutes=1))
    assert [ring_overdue(), ring_overdue()] == [1, 0]
    Instance.objects.update(rung_at=now() - timedelta(minutes=6))
    assert ring_overdue() == 1
    outcome(instance)
    assert not overdue().exists()


def test_the_sweeper_rings_for_dead_workers_and_for_a_new_model(received, request) -> None:
    instance = received()
    claim(instance.pk)
    assert ring_overdue() == 0
    expire(instance)
    assert ring_overdue() == 1
    Instance.objects.update(received_at=now() - timedelta(minutes=1))
    outcome(instance)
    assert ring_overdue() == 0
    request.getfixturevalue("version")
    assert ring_overdue() == 1


def test_a_disk_that_fails_leaves_the_film_waiting(received) -> None:
    """The child finds no file: no fault of the film's, and the next bell after a while may do better."""
    instance = received()
    path = film_path(instance.site, instance.file_sha256)
    content = path.read_bytes()
    path.unlink()
    assert outcome(instance) == (Status.RECEIVED, "disk_failed")
    assert (instance.attempts, instance.rung_at is not None) == (0, True)
    assert instance not in overdue()
    path.write_bytes(content)
    assert outcome(instance) == (Status.RECEIVED, "no_model")


@pytest.mark.parametrize(
    ("admits", "looks", "code"),
    [
        (ACCEPTED, OUTSIDE, "outside_validated"),
        (GateVerdict(False, "age", "Not analysed: age."), ACCEPTED, "age"),
    ],
)
def test_what_the_model_was_not_validated_on_is_not_analysed(
    received, version, monkeypatch, admits, looks, code
) -> None:
    """The verdict is the model's own, so it stands with the version that gave it."""

    class Particular:
        def admits(self, header: InstanceHeader) -> GateVerdict:
            return admits

        def judge(self, films) -> list[ImagePrediction]:
            return [ImagePrediction((), looks) for _ in films]

    monkeypatch.setattr(analyse, "current_champion", lambda: Champion(version.pk, "", Particular()))
    instance = received()
    assert outcome(instance) == (Status.NOT_ANALYSED, code)
    assert instance.reason.startswith("Not analysed: ")
    assert not Analysis.objects.exists()
