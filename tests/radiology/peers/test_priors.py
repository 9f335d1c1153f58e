"""Priors: a study arrives, and the patient's earlier ones come from the archive to compare with."""

from __future__ import annotations

import pytest

from apps.audit.models import AuditEvent
from apps.radiology.analysis.services.analyse import analyse_instance
from apps.radiology.exchange.services import fetch as fetching
from apps.radiology.intake.services.patients import merge_patients
from apps.radiology.models import (
    DicomNode,
    DicomPeer,
    FetchState,
    Instance,
    PriorRequest,
    ReadingPolicy,
    Status,
    Study,
)
from tests.radiology.test_rejections import QUALITY, note

pytestmark = pytest.mark.django_db(transaction=True)


def priors() -> set[str]:
    return set(Study.objects.filter(is_prior=True).values_list("StudyInstanceUID", flat=True))


def uid(*films) -> set[str]:
    return {str(data.StudyInstanceUID) for data in films}


def test_it_works(peer, older, today, look_back, radiologist) -> None:
    earlier = older("20250101", StudyDescription="CHEST PA, EARLIER")
    study = today()
    [fetch] = look_back()
    assert (fetch.state, fetch.found, fetch.fetched, fetch.left_out) == (FetchState.DONE, 1, 1, 0)
    assert priors() == uid(earlier)
    prior = Study.objects.get(is_prior=True)
    for instance in Instance.objects.all():
        analyse_instance(instance.pk)
    page = radiologist.get(f"/radiology/studies/{study.public_id}/").content.decode()
    assert str(prior.public_id) in page
    assert "EARLIER" in page
    worklist = radiologist.get("/radiology/").content.decode()
    assert str(study.public_id) in worklist
    assert str(prior.public_id) not in worklist
    event = AuditEvent.objects.get(action="priors.fetched")
    assert event.detail == {"peer": "ORTHANC", "found": 1, "fetched": 1}
    assert len(look_back()) == 1  # a prior asks for no priors of its own


def test_the_model_judges_a_prior_only_where_the_site_wants_it(peer, older, today, look_back, site) -> None:
    older("20250101")
    today()
    look_back()
    instance = Instance.objects.get(study__is_prior=True)
    analyse_instance(instance.pk)
    instance.refresh_from_db()
    assert (instance.status, instance.reason_code) == (Status.NOT_ANALYSED, "prior")
    assert instance.has_picture
    ReadingPolicy.objects.create(site=site, analyses_priors=True)
    Instance.objects.filter(pk=instance.pk).update(status=Status.RECEIVED, attempts=0)
    analyse_instance(instance.pk)
    instance.refresh_from_db()
    assert instance.reason_code == "no_model"  # it waits for one


def test_without_the_mark_it_would_be_new_work(peer, older, today, look_back, monkeypatch) -> None:
    monkeypatch.setattr("apps.radiology.exchange.services.priors._asked_for", lambda uid, sender: False)
    older("20250101")
    today()
    look_back()
    assert (priors(), Study.objects.count()) == (set(), 2)


def test_only_what_fits_is_fetched_the_latest_first(peer, older, today, look_back) -> None:
    DicomPeer.objects.update(priors_max=2)
    kept = [older("20250105", Modality="CR"), older("20250104", BodyPartExamined=None)]
    older("20250103")  # one too many
    older("20250102", Modality="MR", SOPClassUID="1.2.840.10008.5.1.4.1.1.4")
    older("20250101", BodyPartExamined="HAND")
    older("20260302")  # after the one that came
    older("20250101", PatientID="47110")
    older("20250101", PatientBirthDate="19800101")  # another patient under the same number
    today()
    [fetch] = look_back()
    assert priors() == uid(*kept)
    assert (fetch.found, fetch.fetched, fetch.left_out) == (3, 2, 1)


def test_without_the_check_another_patients_films_would_come(peer, older, today, look_back, monkeypatch):
    monkeypatch.setattr(fetching, "SPECIAL", set())
    other = older("20250101", PatientID="other")
    real = fetching.find

    def trusting(asked_of, level, asked):
        return [
            {**row, "PatientID": "*"} if level == "STUDY" else row for row in real(asked_of, level, asked)
        ]

    monkeypatch.setattr(fetching, "find", trusting)
    today(PatientID="*", PatientBirthDate="")
    look_back()
    assert priors() == uid(other)


def test_a_number_with_a_wildcard_asks_for_nobody(peer, older, today, look_back) -> None:
    older("20250101", PatientID="other")
    today(PatientID="*", PatientBirthDate="")
    [fetch] = look_back()
    assert (fetch.state, fetch.found, priors()) == (FetchState.DONE, 0, set())


def test_bytes_are_bounded(peer, older, today, look_back) -> None:
    DicomPeer.objects.update(priors_max_mb=1)
    large = {"Rows": 1024, "Columns": 1024, "PixelData": bytes(2 * 1024**2)}
    latest = older("20250105", **large)
    older("20250104", **large)
    today()
    [fetch] = look_back()
    assert priors() == uid(latest)
    assert fetch.left_out == 1


def test_an_operator_enters_a_peer_that_may_send(orthanc, site, client, make_user) -> None:
    client.force_login(make_user("operator", is_staff=True))
    form = {"site": site.pk, "AETitle": "PACS", "host": "pacs.example", "port": 104, "is_active": "on",
            "modalities": "CR,DX", "body_parts": "", "priors_max": 3, "priors_max_mb": 200}  # fmt: skip
    answer = client.post("/admin/radiology/dicompeer/add/", form)
    assert "Enter this AE title as a DICOM node first" in answer.content.decode()
    DicomNode.objects.create(site=site, AETitle="PACS")
    client.post("/admin/radiology/dicompeer/add/", form)
    assert DicomPeer.objects.get().host == "pacs.example"
    client.post("/admin/radiology/dicompeer/add/", {**form, "AETitle": "OTHER", "port": 70000})
    assert DicomPeer.objects.count() == 1


def test_a_peer_that_is_away_delays_nothing_and_is_asked_again(
    peer, older, today, look_back, later, radiologist, make_user, client
) -> None:
    earlier = older("20250101")
    DicomPeer.objects.update(port=9)
    study = today()
    assert Instance.objects.filter(study=study).exists()  # it is here before anybody asks
    [fetch] = look_back()
    assert (fetch.state, fetch.attempts) == (FetchState.WAITING, 1)
    page = radiologist.get(f"/radiology/studies/{study.public_id}/").content.decode()
    assert "ORTHANC does not answer" in page
    client.force_login(make_user("operator"))
    checks = client.get("/status/", headers={"accept": "application/json"}).json()["checks"]
    assert [one["message"] for one in checks if one["name"] == "DICOM peers"] == [
        "ORTHANC: ORTHANC does not answer."
    ]
    assert look_back()[0].attempts == 1  # not before its time
    DicomPeer.objects.update(port=peer.port)
    later(2)
    [fetch] = look_back()
    assert (fetch.state, fetch.fetched, fetch.fault) == (FetchState.DONE, 1, "")
    assert priors() == uid(earlier)
    checks = client.get("/status/", headers={"accept": "application/json"}).json()["checks"]
    assert [one["ok"] for one in checks if one["name"] == "DICOM peers"] == [True]


@pytest.mark.parametrize("ours", [{}, {"LYNCEUS": 9}])
def test_a_peer_that_cannot_send_to_us_is_said(peer, orthanc, older, today, look_back, ours) -> None:
    """It does not know our title, or knows it at another port."""
    orthanc.forget()
    for title, port in ours.items():
        orthanc.knows(title, port)
    older("20250101")
    today()
    [fetch] = look_back()
    assert fetch.state == FetchState.WAITING
    assert "ORTHANC" in fetch.fault
    assert priors() == set()


def test_after_some_attempts_it_is_given_up_and_said(peer, today, look_back, later, radiologist) -> None:
    DicomPeer.objects.update(port=9)
    study = today()
    for hours in range(0, 30, 6):
        later(60 * hours)
        [fetch] = look_back()
    assert (fetch.state, fetch.attempts) == (FetchState.GAVE_UP, 5)
    page = radiologist.get(f"/radiology/studies/{study.public_id}/").content.decode()
    assert "given up" in page


def test_what_is_here_is_not_asked_for(peer, older, today, look_back, arrive) -> None:
    arrive(older("20250101"))
    today()
    first, second = look_back()
    assert (first.found, second.found) == (0, 0)
    assert priors() == set()
    assert not PriorRequest.objects.exists()


def test_a_prior_that_comes_of_itself_becomes_work(peer, orthanc, older, today, look_back, arrive) -> None:
    earlier = older("20250101")
    today()
    look_back()
    instance = Instance.objects.get(study__is_prior=True)
    analyse_instance(instance.pk)
    arrive(earlier)  # the modality sends the same film
    instance.refresh_from_db()
    assert not instance.study.is_prior
    assert (instance.status, instance.reason_code) == (Status.RECEIVED, "")
    assert instance.study.status == Status.RECEIVED
    assert AuditEvent.objects.filter(action="prior.became_work").count() == 1


def test_a_prior_follows_merges_and_rejections(
    peer, older, today, look_back, make_user, site, arrive, radiologist
) -> None:
    merge_patients(site, ("4700", ""), ("4711", ""), note="x", by=make_user("operator"))
    earlier = older("20250101", PatientID="4700")
    study = today()
    look_back()
    prior = Study.objects.get(is_prior=True)
    assert prior.PatientID == "4711"
    page = f"/radiology/studies/{study.public_id}/"
    assert str(prior.public_id) in radiologist.get(page).content.decode()
    arrive(note(QUALITY, earlier))
    assert str(prior.public_id) not in radiologist.get(page).content.decode()
