"""What differs is opened by itself, shown to who may see it, and settled by somebody with a reason."""

from __future__ import annotations

import pytest

from apps.audit.models import AuditEvent
from apps.radiology.models import Adjudication, CaseOpened, Comparison, Discrepancy, Exposure, Kind
from apps.radiology.quality.services.compare import compare_due_studies


def door(study, what: str = "") -> str:
    return f"/radiology/discrepancies/{study.public_id}/{what}"


def queue(client, query: str = "") -> str:
    return client.get(f"/radiology/discrepancies/{query}").content.decode()


@pytest.fixture
def disputed(radiologist, study, read_by):
    """The model calls an effusion that the radiologist marked absent."""
    read_by(radiologist, study, Effusion="absent", Nodule="absent")
    compare_due_studies()
    return study


@pytest.fixture
def third(make_user):
    from django.test import Client

    client = Client()
    client.force_login(make_user("radiologist", email="third@north.example"))
    return client


def test_it_works(radiologist, disputed, other) -> None:
    """Who did not read it opens the case, sees who said what, and settles it; that stands as reference."""
    assert "Pleural effusion" in queue(radiologist)
    assert "Nodule" not in queue(radiologist)
    closed = other.get(door(disputed)).content.decode()
    assert "Open the case" in closed
    assert "absent" not in closed
    assert other.post(door(disputed, "open/")).status_code == 302
    case = other.get(door(disputed)).content.decode()
    assert "First reader: <b>absent</b>" in case
    assert "above its operating point" in case
    form = {"verdict-0": "present", "reason-0": "missed", "point-0": "Look at the lateral angle."}
    assert other.post(door(disputed, "settle/"), form).status_code == 302
    settled = Adjudication.objects.get()
    assert (settled.verdict, settled.reason, settled.independent) == ("present", "missed", True)
    assert str(disputed.public_id) not in queue(radiologist)
    assert str(disputed.public_id) in queue(radiologist, "?state=settled")
    assert "Look at the lateral angle." in radiologist.get(door(disputed)).content.decode()
    compare_due_studies()
    row = Comparison.objects.get(label="Effusion")
    assert (row.called, row.blind, row.present, row.adjudicated) == (True, False, True, True)
    assert AuditEvent.objects.filter(action="case.settled").exists()


def test_a_second_reader_and_a_change_of_mind_are_told_apart(radiologist, other, study, read_by) -> None:
    read_by(radiologist, study, after={"Effusion": "present"}, Effusion="absent", Nodule="absent")
    radiologist.post(f"/radiology/studies/{study.public_id}/second-read/")
    read_by(other, study, Effusion="present", Nodule="present")
    compare_due_studies()
    found = set(Discrepancy.objects.values_list("label", "kind"))
    assert found == {
        ("Effusion", Kind.AI), ("Effusion", Kind.CHANGED), ("Effusion", Kind.SECOND_READ),
        ("Nodule", Kind.AI), ("Nodule", Kind.SECOND_READ),
    }  # fmt: skip
    compare_due_studies()
    assert Discrepancy.objects.count() == 5
    case = radiologist.get(door(study)).content.decode()
    assert "changed, the model&#x27;s answer known" in case
    assert "Second reader: <b>present</b>" in case
    assert "colleague@north.example" not in case
    assert str(study.public_id) in queue(radiologist, "?kind=changed")
    # Two blind readers who contradict each other leave it unknown.
    assert not Comparison.objects.exists()


def test_which_finding_differs_is_not_told_to_who_has_not_read(disputed, other) -> None:
    page = queue(other)
    assert str(disputed.public_id) in page
    assert "effusion" not in page.lower()


def test_who_opened_the_case_reads_blind_no_more(disputed, other, read_by) -> None:
    other.post(door(disputed, "open/"))
    assert read_by(other, disputed, Effusion="absent").ai_exposure == Exposure.FULL


def test_without_that_mark_it_would_count_as_blind(disputed, other, read_by) -> None:
    other.post(door(disputed, "open/"))
    CaseOpened.objects.all().delete()
    assert read_by(other, disputed, Effusion="absent").ai_exposure == Exposure.RANK


def test_who_is_asked_for_a_second_read_gives_it_first(radiologist, disputed, other, third) -> None:
    third.post(door(disputed, "open/"))
    radiologist.post(f"/radiology/studies/{disputed.public_id}/second-read/")
    assert str(disputed.public_id) not in queue(other)
    assert other.post(door(disputed, "open/")).status_code == 409
    assert "Give it first" in other.get(door(disputed)).content.decode()
    assert str(disputed.public_id) in queue(third)


def test_one_of_its_readers_may_settle_it_and_it_says_so(radiologist, disputed, other) -> None:
    assert "Somebody who is not should settle it" in radiologist.get(door(disputed)).content.decode()
    radiologist.post(door(disputed, "settle/"), {"verdict-0": "unsure", "reason-0": "technical"})
    assert not Adjudication.objects.get().independent
    compare_due_studies()
    assert Comparison.objects.get(label="Effusion").present is None


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"verdict-0": "maybe", "reason-0": "missed"},
        {"verdict-0": "present"},
        {"verdict-0": "present", "reason-0": "x"},
        {"verdict-0": "present", "reason-0": "missed", "point-0": "x" * 2001},
    ],
)
def test_without_verdict_and_reason_nothing_is_settled(radiologist, disputed, form) -> None:
    assert radiologist.post(door(disputed, "settle/"), form).status_code == 422
    assert not Adjudication.objects.exists()


def test_a_case_that_was_not_opened_is_not_settled(disputed, other) -> None:
    form = {"verdict-0": "present", "reason-0": "missed"}
    assert other.post(door(disputed, "settle/"), form).status_code == 409


def test_a_retracted_read_has_no_case(radiologist, disputed, press) -> None:
    press(disputed, "add", addendum="Another patient's film.", retracts="on")
    assert str(disputed.public_id) not in queue(radiologist)
    assert radiologist.get(door(disputed)).status_code == 404


def test_what_was_open_from_the_start_is_no_discrepancy_of_the_model(
    radiologist, study, read_by, concurrent
) -> None:
    read_by(radiologist, study, Effusion="absent")
    compare_due_studies()
    assert not Discrepancy.objects.exists()
    assert not Comparison.objects.exists()
