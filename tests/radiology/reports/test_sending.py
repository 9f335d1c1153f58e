"""Signed reports on their way: C-STORE to DCMTK, STOW-RS to us, at least once, delaying nobody."""

from __future__ import annotations

import io
import socket
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pydicom
import pytest
from django.test import Client

from apps.accounts.models import Site
from apps.audit.models import AuditEvent
from apps.core.clock import now
from apps.core.encryption import encrypt
from apps.core.status import run_checks
from apps.core.sweep import sweep_all
from apps.radiology import scu, sending
from apps.radiology.models import (
    Destination,
    Dispatch,
    DispatchAttempt,
    Read,
    RejectionNote,
    Result,
    Study,
)
from apps.radiology.services import dispatches, send
from apps.radiology.services.patients import move_study
from apps.radiology.tasks import make_reports, send_reports
from tests.clients import program
from tests.fraud.listener import Listener
from tests.integration.running import eventually, free_port
from tests.radiology.reports.conftest import document
from tests.radiology.results.conftest import read, settle

__all__ = ["read"]


@pytest.fixture
def pacs(site: Site, tmp_path: Path) -> Iterator[Path]:
    """DCMTK's storescp, entered as a destination; the folder it stores into."""
    port, folder = free_port(), tmp_path / "pacs"
    folder.mkdir()
    command = [program("storescp"), "-od", str(folder), "-aet", "PACS", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    eventually(lambda: _listens(port))
    enter(site, name="PACS", AETitle="PACS", host="127.0.0.1", port=port)
    yield folder
    process.terminate()
    process.wait(30)


def _listens(port: int) -> bool:
    with socket.socket() as knock:
        return knock.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def stow(site: Site) -> Iterator[Listener]:
    """A STOW-RS server of somebody else, entered as a destination with a bearer token."""
    server = Listener()
    to = enter(site, name="Archive", stow_url=server.url)
    to.bearer = encrypt("a secret", bound_to=to.seal)
    to.save()
    yield server
    server.server.shutdown()


def enter(site: Site, **given: Any) -> Destination:
    destination = Destination(site=site, **given)
    destination.full_clean()
    destination.save()
    return destination


def work() -> None:
    """What the worker does, as often as it is rung for."""
    make_reports.run()
    send_reports.run()


def checked_by(client: Client, study: Study) -> None:
    """A second read is asked for, given and signed."""
    door = f"/radiology/studies/{study.public_id}"
    client.post(f"{door}/second-read/")
    for button in ("", "commit/", "sign/"):
        assert client.post(f"{door}/read/{button}", {"verdict-0": "absent", "text": ""}).status_code == 302


def make_due() -> None:
    Dispatch.objects.update(due_at=now() - timedelta(seconds=1))


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
        patch.setattr("apps.radiology.services.documents.dispatch_document", fail)
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


@pytest.fixture
def our_own_door(live_server: Any, site: Site, other_site: Site, other_token: str) -> Destination:
    """Another site's STOW-RS door: it takes films and rejection notes, and no reports."""
    to = enter(site, name="South", stow_url=f"{live_server.url}/dicom-web/studies")
    to.bearer = encrypt(other_token, bound_to=to.seal)
    to.save()
    return to


def test_a_retraction_follows_the_report(our_own_door, sign, study, press, other_site) -> None:
    sign(study)
    work()
    assert DispatchAttempt.objects.get().said.startswith("415 0x")  # our door takes no reports
    press(study, "add", addendum="Another patient's film.", retracts="on")
    make_due()
    work()
    note = RejectionNote.objects.get(site=other_site)
    assert note.code == "113037"
    first, second = Dispatch.objects.order_by("pk")
    assert first.is_superseded  # and not sent any more
    assert second.delivered_at is not None
    assert first.tries.count() == second.tries.count() == 1


def test_a_wrong_token_is_no_delivery(our_own_door, sign, study) -> None:
    Destination.objects.update(bearer=encrypt("wrong", bound_to=our_own_door.seal))
    sign(study)
    work()
    assert DispatchAttempt.objects.get().said == "401"
    assert Dispatch.objects.get().delivered_at is None


def test_while_it_is_in_doubt_whose_it_is_nothing_leaves(
    stow, sign, study, make_user, press, radiologist
) -> None:
    sign(study)
    make_reports.run()
    move_study(study, ("9999", ""), person={}, by=make_user("operator"))
    send_reports.run()
    assert stow.heard == []
    assert "held: signed under other data" in radiologist.get("/radiology/deliveries/").content.decode()
    press(study, "add", addendum="It is of the patient 9999.")
    work()
    assert len(stow.heard) == 1
    assert b"9999" in stow.heard[0][1]


def test_without_the_guard_it_would_leave(stow, sign, study, make_user, monkeypatch) -> None:
    monkeypatch.setattr(send, "_must_wait", lambda dispatch: False)
    sign(study)
    make_reports.run()
    move_study(study, ("9999", ""), person={}, by=make_user("operator"))
    send_reports.run()
    assert b"4711" in stow.heard[0][1]


def test_what_the_model_found_leaves_only_after_sign_off(stow, read, press, sign) -> None:
    study = read(Effusion=(0.9, 0.5)).study
    Destination.objects.update(sends_results=True)
    settle()
    assert Result.objects.count() == 2
    press(study)
    press(study, "commit")
    work()
    assert not Dispatch.objects.exists()
    press(study, "sign")
    work()
    assert Dispatch.objects.filter(result__isnull=False, delivered_at__isnull=False).count() == 2
    assert len(stow.heard) == 3


def test_results_that_come_after_the_signature_follow(stow, read, sign) -> None:
    study = read(Effusion=(0.9, 0.5)).study
    Destination.objects.update(sends_results=True)
    sign(study)
    assert not Dispatch.objects.filter(result__isnull=False).exists()
    settle()
    work()
    assert Dispatch.objects.filter(result__isnull=False, delivered_at__isnull=False).count() == 2


def test_who_did_not_ask_for_them_gets_none(stow, read, sign) -> None:
    study = read(Effusion=(0.9, 0.5)).study
    settle()
    sign(study)
    work()
    assert len(stow.heard) == 1


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


def test_nothing_is_sent_where_none_is_entered(sign, study, radiologist) -> None:
    sign(study)
    work()
    assert not Dispatch.objects.exists()
    assert "No PACS takes reports" in radiologist.get("/radiology/deliveries/").content.decode()


def test_a_second_read_stays_in_the_house(pacs, sign, study, other) -> None:
    first = sign(study)
    checked_by(other, study)
    assert Read.objects.filter(state="final").count() == 2
    assert [one.document.read for one in Dispatch.objects.all()] == [first]


def test_without_the_question_an_archive_would_have_two_reports(
    pacs, sign, study, other, monkeypatch
) -> None:
    monkeypatch.setattr(
        dispatches, "SecondRead", Mock(**{"objects.filter.return_value.exists": lambda: False})
    )
    sign(study)
    checked_by(other, study)
    assert Dispatch.objects.count() == 2
