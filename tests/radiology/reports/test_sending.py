"""Signed reports on their way: C-STORE to DCMTK, STOW-RS to us, at least once, delaying nobody."""

from __future__ import annotations

import io
import socket
from datetime import timedelta
from typing import Any

import pydicom
import pytest
from django.test import Client

from apps.audit.models import AuditEvent
from apps.core.clock import now
from apps.core.status import run_checks
from apps.core.sweep import sweep_all
from apps.radiology.exchange import scu, sending
from apps.radiology.exchange.services import send
from apps.radiology.models import (
    Destination,
    Dispatch,
    DispatchAttempt,
    Read,
)
from apps.radiology.tasks import make_reports, send_reports
from tests.integration.running import free_port
from tests.radiology.reports.conftest import document
from tests.radiology.reports.receivers import enter, make_due, work
from tests.radiology.reports.receivers import pacs as pacs
from tests.radiology.reports.receivers import stow as stow


def test_it_works(pacs, stow, sign, study) -> None:
    read = sign(study)
    assert [one.attempts for one in Dispatch.objects.all()] == [0, 0]  # signing sends nothing itself
    work()
    [file] = pacs.iterdir()
    got = pydicom.dcmread(file)
    assert (got.SOPInstanceUID, got.VerificationFlag) == (document(read).SOPInstanceUID, "VERIFIED")
    [(headers, body)] = stow.heard
    assert headers["authorization"] == "Bearer a secret"
    assert headers["content-type"].startswith('multipart/related; type="application/dicom"; boundary=')
    part = body.split(headers["content-type"].split("boundary=")[1].encode())[1].split(b"\r\n\r\n", 1)[1]
    assert pydicom.dcmread(io.BytesIO(part)).SOPInstanceUID == got.SOPInstanceUID
    assert not Dispatch.objects.filter(delivered_at=None).exists()
    assert sorted(DispatchAttempt.objects.values_list("said", flat=True)) == ["0x0000", "204"]
    assert AuditEvent.objects.filter(action="report.delivered").count() == 2


def test_the_outbox_is_written_with_the_signature_or_neither(stow, study, press, monkeypatch) -> None:
    press(study)
    press(study, "commit")

    def fail(document: Any) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr("apps.radiology.documents.services.documents.dispatch_document", fail)
        with pytest.raises(RuntimeError):
            press(study, "sign")
    assert Read.objects.get().state == "preliminary"
    assert not Dispatch.objects.exists()
    press(study, "sign")
    assert Dispatch.objects.count() == 1


def test_who_is_away_or_says_no_delays_nobody(pacs, stow, sign, study, site) -> None:
    enter(site, name="Away", AETitle="AWAY", host="127.0.0.1", port=free_port())
    stow.answers = [503]
    sign(study)
    work()
    assert len(list(pacs.iterdir())) == 1
    waits = Dispatch.objects.filter(delivered_at=None)
    said = DispatchAttempt.objects.filter(dispatch__in=waits).values_list("said", flat=True)
    assert sorted(said) == ["503", "away"]
    assert all(one.due_at > now() for one in waits)
    send_reports.run()
    assert len(stow.heard) == 1
    make_due()
    assert sweep_all()["radiology.sending"] == 1
    send_reports.run()
    assert Dispatch.objects.get(destination__name="Archive").delivered_at is not None


def test_who_takes_the_call_and_says_nothing_is_hung_up_on(sign, study, received, site, monkeypatch) -> None:
    monkeypatch.setattr(sending, "CONNECT_S", 0.2)
    monkeypatch.setattr(sending, "ANSWER_S", 0.2)
    monkeypatch.setattr(scu, "ACSE_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        enter(site, name="Silent", AETitle="SILENT", host="127.0.0.1", port=port)
        enter(site, name="Mute", stow_url=f"http://127.0.0.1:{port}/studies")
        sign(study)
        sign(received().study)
        work()
    assert DispatchAttempt.objects.count() == 2  # one each: the second report waits with the first
    assert "away" in DispatchAttempt.objects.values_list("said", flat=True)
    assert all(one.due_at > now() for one in Dispatch.objects.all())


def test_without_the_schedule_it_would_be_sent_again_at_once(stow, sign, study, monkeypatch) -> None:
    monkeypatch.setattr(send, "WAITS", [timedelta(0)] * 9)
    stow.answers = [503, 503]
    sign(study)
    work()
    send_reports.run()
    send_reports.run()
    assert len(stow.heard) == 3


def test_given_up_it_is_seen_and_sent_again_by_a_person(stow, sign, study, radiologist, other) -> None:
    stow.answers = [400] * len(send.WAITS) + [400]
    sign(study)
    make_reports.run()
    for _ in range(len(send.WAITS) + 3):
        make_due()
        send_reports.run()
    assert len(stow.heard) == len(send.WAITS) + 1
    [check] = [one for one in run_checks(everything=True) if one.name == "reports to PACS"]
    assert (check.ok, check.message.split(":")[0]) == (False, "1 object could not be delivered to a PACS")
    page = radiologist.get("/radiology/deliveries/?state=not+delivered").content.decode()
    for text in ("Archive", "400", "not delivered", "Try again", "4711"):
        assert text in page, text
    one = Dispatch.objects.get()
    retry = f"/radiology/deliveries/{one.pk}/retry/"
    assert other.post(retry).status_code == 302
    send_reports.run()
    assert Dispatch.objects.get().delivered_at is not None
    assert AuditEvent.objects.get(action="dispatch.retried").actor.startswith("user:")
    assert other.post(retry).status_code == 409


def test_a_sender_that_died_is_followed_by_another(stow, sign, study, monkeypatch) -> None:
    sign(study)
    make_reports.run()
    with monkeypatch.context() as patch:
        patch.setattr(send, "DispatchAttempt", None)
        with pytest.raises(AttributeError):
            send_reports.run()
    send_reports.run()
    assert len(stow.heard) == 1  # the lease still runs
    make_due()
    send_reports.run()
    assert Dispatch.objects.get().delivered_at is not None
    assert len(stow.heard) == 2


def test_two_senders_do_not_send_the_same_at_once(stow, sign, study) -> None:
    sign(study)
    make_reports.run()
    pk = Dispatch.objects.get().pk
    assert send._claim(pk) is not None
    assert send._claim(pk) is None


def test_what_the_pacs_has_already_is_delivered(pacs, sign, study, monkeypatch) -> None:
    sign(study)
    make_reports.run()
    monkeypatch.setattr("pynetdicom.association.Association.send_c_store", lambda *a, **k: _status(0x0111))
    send_reports.run()
    assert DispatchAttempt.objects.get().said == "0x0111"
    assert Dispatch.objects.get().delivered_at is not None


def _status(code: int) -> Any:
    status = pydicom.Dataset()
    status.Status = code
    return status


@pytest.mark.parametrize(
    "given",
    [
        {}, {"AETitle": "PACS", "host": "pacs"}, {"stow_url": "https://u:p@pacs/studies"},
        {"stow_url": "ftp://pacs/studies"}, {"AETitle": "A\\B", "host": "pacs", "port": 104},
        {"AETitle": "PACS", "host": "pacs", "port": 104, "stow_url": "https://pacs/studies"},
    ],
)  # fmt: skip
def test_an_operator_enters_a_whole_destination(given, site, client: Client, make_user) -> None:
    client.force_login(make_user("operator"))
    form = {"site": site.pk, "name": "PACS", "is_active": "on"}
    door = "/admin/radiology/destination/add/"
    assert client.post(door, form | given).status_code == 200
    assert not Destination.objects.exists()
    whole = {"stow_url": "https://pacs.example/studies", "token": "very secret"}
    assert client.post(door, form | whole).status_code == 302
    made = Destination.objects.get()
    assert b"very secret" not in bytes(made.bearer)
    page = client.get(f"/admin/radiology/destination/{made.pk}/change/").content.decode()
    assert "very secret" not in page
    client.post(f"/admin/radiology/destination/{made.pk}/change/", form | {"stow_url": made.stow_url})
    assert bytes(Destination.objects.get().bearer) == bytes(made.bearer)
