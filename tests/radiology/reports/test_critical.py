"""Critical findings: marked, told, escalated when nobody was; and a signature that warns."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client

from apps.audit.models import AuditEvent
from apps.core.clock import now
from apps.core.sweep import sweep_all
from apps.radiology.models import Communication, Read, ReadState, ReportPolicy, Study
from tests.radiology.reads.conftest import page_of

LIST = "/radiology/communications/"


@pytest.fixture
def marked(study, press) -> Communication:
    press(study)
    press(study, "critical", finding="Pneumothorax")
    return Communication.objects.get()


def tell(client: Client, one: Communication, **form):
    form = {"to": "Dr Ward", "channel": "phone", **form}
    return client.post(f"{LIST}{one.public_id}/tell/", form)


def overdue(minutes: int = 31) -> None:
    Communication.objects.update(identified_at=now() - timedelta(minutes=minutes))


def test_it_works(marked, radiologist, other, study) -> None:
    assert marked.read.state == ReadState.DRAFT  # before anything is committed
    assert "Pneumothorax" in other.get(LIST).content.decode()
    assert "critical, nobody told" in radiologist.get("/radiology/").content.decode()
    assert "critical, nobody told" in page_of(radiologist, study)
    assert tell(other, marked, read_back="on").status_code == 302
    made = Communication.objects.get()
    assert (made.told_to, made.channel, made.read_back) == ("Dr Ward", "phone", True)
    assert made.told_by.email == "colleague@north.example"
    assert made.identified_at <= made.told_at <= now()
    assert "No critical finding waits" in radiologist.get(LIST).content.decode()
    settled = radiologist.get(f"{LIST}?shown=settled").content.decode()
    for text in ("Dr Ward", "by telephone", "read back", "Pneumothorax"):
        assert text in settled, text
    assert "critical, nobody told" not in radiologist.get("/radiology/").content.decode()
    told = AuditEvent.objects.filter(action__startswith="critical.").order_by("pk")
    assert [event.action for event in told] == ["critical.marked", "critical.told"]
    assert not any("Ward" in str(event.detail) for event in told)


def test_what_nobody_was_told_of_is_escalated_after_the_sites_time(marked, radiologist, other) -> None:
    overdue(29)
    assert sweep_all()["radiology.critical"] == 0
    overdue(31)
    assert sweep_all()["radiology.critical"] == 1
    assert sweep_all()["radiology.critical"] == 0
    for page in ("/radiology/upload/", LIST, "/radiology/"):
        assert "1 critical finding not communicated" in other.get(page).content.decode()
    assert "overdue" in radiologist.get(LIST).content.decode()
    assert "nobody told: overdue" in radiologist.get("/radiology/").content.decode()
    [event] = AuditEvent.objects.filter(action="critical.escalated")
    assert (event.actor, event.detail) == ("system", {"communication": marked.pk})
    tell(other, marked)
    assert "not communicated" not in other.get("/radiology/upload/").content.decode()


def test_a_site_says_after_how_long(marked, site) -> None:
    ReportPolicy.objects.create(site=site, escalate_after_min=5)
    overdue(6)
    assert sweep_all()["radiology.critical"] == 1


def test_without_the_sweeper_nobody_would_hear_of_it(marked, other, monkeypatch) -> None:
    from apps.core import sweep

    monkeypatch.delitem(sweep._sweepers, "radiology.critical")
    overdue()
    sweep_all()
    assert "not communicated" not in other.get("/radiology/upload/").content.decode()


def test_what_was_told_is_not_escalated(marked, other) -> None:
    tell(other, marked)
    overdue()
    assert sweep_all()["radiology.critical"] == 0


def test_of_another_site_nobody_hears(marked, other_site, make_user) -> None:
    overdue()
    sweep_all()
    stranger = Client()
    stranger.force_login(make_user("radiologist", site=other_site, email="x@south.example"))
    for page in ("/radiology/upload/", LIST):
        html = stranger.get(page).content.decode()
        assert "not communicated" not in html
        assert "Pneumothorax" not in html
    assert tell(stranger, marked).status_code == 404
    assert Communication.objects.get().is_open


def test_signing_asks_for_a_word_where_nobody_was_told(marked, radiologist, study, press) -> None:
    press(study, "commit")
    assert "Sign without communication" in page_of(radiologist, study)
    refused = press(study, "sign")
    assert refused.status_code == 409
    assert "Nobody was told" in refused.content.decode()
    assert Read.objects.get().state == ReadState.PRELIMINARY
    assert press(study, "sign", without="on").status_code == 302
    assert Read.objects.get().state == ReadState.FINAL
    assert AuditEvent.objects.get(action="read.signed").detail["untold"] == 1
    assert Communication.objects.get().is_open  # it still waits for somebody


def test_told_it_is_signed_without_more(marked, study, press, other) -> None:
    tell(other, marked)
    press(study, "commit")
    assert press(study, "sign").status_code == 302
    assert "untold" not in AuditEvent.objects.get(action="read.signed").detail


def test_without_the_guard_it_would_be_signed(marked, study, press, monkeypatch) -> None:
    monkeypatch.setattr("apps.radiology.reading.services.reads.check_communicated", lambda read, without: 0)
    press(study, "commit")
    assert press(study, "sign").status_code == 302


def test_only_who_marked_it_takes_it_back(marked, radiologist, other) -> None:
    door = f"{LIST}{marked.public_id}/withdraw/"
    assert other.post(door, {"why": "no"}).status_code == 403
    assert radiologist.post(door).status_code == 422
    assert radiologist.post(door, {"why": "A skin fold."}).status_code == 302
    assert "A skin fold." in radiologist.get(f"{LIST}?shown=settled").content.decode()
    assert tell(other, marked).status_code == 409


@pytest.mark.parametrize(
    "form",
    [{"to": ""}, {"channel": "pigeon"}, {"at": "tomorrow"}, {"at": "2999-01-01T10:00"},
     {"at": "2001-01-01T10:00"}, {"to": "x" * 151}],
)  # fmt: skip
def test_half_an_answer_is_none(marked, other, form) -> None:
    assert tell(other, marked, **form).status_code == 422
    assert Communication.objects.get().is_open


def test_a_finding_is_the_readers_own_words_or_one_of_the_panels(study, press, other) -> None:
    assert press(study, "critical", other="x").status_code == 404  # nobody reads it yet
    press(study)
    assert press(study, "critical").status_code == 422
    press(study, "critical", finding="Nodule", other="Tube in the right main bronchus")
    assert Communication.objects.get().finding == "Tube in the right main bronchus"
    assert other.post(f"/radiology/studies/{study.public_id}/read/critical/").status_code == 404
    assert Study.objects.count() == 1
