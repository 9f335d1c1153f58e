"""The report as a page and as a PDF: what it says and does not, and to whom."""

from __future__ import annotations

import io
import re

import pytest
from django.test import Client
from pypdf import PdfReader

from apps.audit.models import AuditEvent
from apps.radiology.intake.services.patients import move_study
from apps.radiology.models import Communication, Read
from ml.radiology.vocabulary import forbidden_in

USE = "Research use. Not a medical device."


def page_of(client: Client, read: Read) -> str:
    """The words of the report's page."""
    html = client.get(f"/radiology/reports/{read.public_id}/").content.decode()
    [sheet] = re.findall(r"<article.*?</article>", html, re.S)
    return " ".join(re.sub(r"<[^>]+>", " ", sheet).split())


def pdf_of(client: Client, read: Read) -> PdfReader:
    answer = client.get(f"/radiology/reports/{read.public_id}/report.pdf")
    assert answer["Content-Type"] == "application/pdf"
    return PdfReader(io.BytesIO(answer.content))


def words_of(pdf: PdfReader) -> str:
    return " ".join(" ".join(page.extract_text() for page in pdf.pages).split())


def test_it_works(signed, radiologist) -> None:
    for words in (page_of(radiologist, signed), words_of(pdf_of(radiologist, signed))):
        for text in (
            "Doe, Jane", "4711", "A1", "Findings", "Pleural effusion: present, left.", "Small, at the base.",
            "Ada Reader", "North", USE,
        ):  # fmt: skip
            assert text in words, text
        assert "odule" not in words
    events = AuditEvent.objects.filter(action="report.viewed").order_by("pk").values_list("detail", flat=True)
    assert [event["form"] for event in events] == ["page", "pdf"]


def test_the_pdf_can_be_read_aloud_and_holds_its_fonts(signed, radiologist) -> None:
    pdf = pdf_of(radiologist, signed)
    assert pdf.metadata.title == "Report, radiograph"
    root = pdf.trailer["/Root"]
    assert root["/Lang"].startswith("en")
    assert root["/MarkInfo"]["/Marked"]
    assert "/StructTreeRoot" in root
    fonts = [font.get_object() for page in pdf.pages for font in page["/Resources"]["/Font"].values()]
    assert fonts
    for font in fonts:
        [descendant] = font["/DescendantFonts"]
        descriptor = descendant.get_object()["/FontDescriptor"]
        assert any(key.startswith("/FontFile") for key in descriptor)


@pytest.mark.parametrize("form", [{"text": "As before."}, {"verdict-1": "unsure"}])
def test_neither_says_more_than_was_said(sign, study, radiologist, form) -> None:
    read = sign(study, **form)
    for words in (page_of(radiologist, read), words_of(pdf_of(radiologist, read))):
        assert forbidden_in(words) == []


def test_a_word_that_may_not_be_said_would_be_noticed(sign, study, radiologist, monkeypatch) -> None:
    read = sign(study, text="As before.")
    monkeypatch.setattr(
        "apps.radiology.documents.reports.texts_of", lambda read: [("findings", "No effusion.")]
    )
    assert forbidden_in(page_of(radiologist, read)) == ["absence: No effusion"]


def test_what_people_wrote_is_text_and_no_markup(sign, study, radiologist) -> None:
    text = '#eval("1") *x* <b>y</b> $1/2$ @z \\ // ok'
    read = sign(study, text=text)
    assert text in words_of(pdf_of(radiologist, read))
    html = radiologist.get(f"/radiology/reports/{read.public_id}/").content.decode()
    assert "&lt;b&gt;y&lt;/b&gt;" in html


def test_letters_no_font_has_are_boxes_and_it_says_so(sign, study, radiologist) -> None:
    read = sign(study, text="\U000f1234 \x07 Łódź, Ελλάδα, Привет")
    words = words_of(pdf_of(radiologist, read))
    assert "are shown as boxes" in words
    assert "Łódź, Ελλάδα, Привет" in words


def test_it_says_what_it_is(study, press, radiologist) -> None:
    press(study)
    read = Read.objects.get()
    assert radiologist.get(f"/radiology/reports/{read.public_id}/").status_code == 404  # a draft
    press(study, "commit", text="Small effusion.")
    for said in ("Preliminary: committed, not signed.", "not signed"):
        assert said in page_of(radiologist, read)
        assert said in words_of(pdf_of(radiologist, read))
    press(study, "sign", text="Small effusion.")
    assert "Preliminary" not in words_of(pdf_of(radiologist, read))
    press(study, "add", addendum="More of it.")
    assert "Amended: signed, and added to since." in words_of(pdf_of(radiologist, read))
    assert "More of it." in page_of(radiologist, read)
    press(study, "add", addendum="Another patient.", retracts="on")
    for words in (page_of(radiologist, read), words_of(pdf_of(radiologist, read))):
        assert "Retracted: it is of the wrong patient. Do not use it." in words


def test_it_says_so_where_the_identity_changed_since(signed, radiologist, make_user) -> None:
    move_study(signed.study, ("9999", ""), person={}, by=make_user("operator"))
    for words in (page_of(radiologist, signed), words_of(pdf_of(radiologist, signed))):
        assert "Signed under other patient or study data than it shows now." in words
        assert "4711" in words
        assert "9999" in words


def test_it_says_who_was_told(sign, study, press, radiologist) -> None:
    press(study)
    press(study, "critical", finding="Pneumothorax")
    [made] = Communication.objects.all()
    door = f"/radiology/communications/{made.public_id}/tell/"
    radiologist.post(door, {"to": "Dr Ward", "channel": "phone", "read_back": "on"})
    read = sign(study, text="Large pneumothorax.")
    for words in (page_of(radiologist, read), words_of(pdf_of(radiologist, read))):
        assert "Pneumothorax: Dr Ward told by telephone by Ada Reader" in words
        assert "read back" in words


def test_of_another_site_there_is_none(signed, other_site, make_user) -> None:
    stranger = Client()
    stranger.force_login(make_user("radiologist", site=other_site, email="x@south.example"))
    for form in ("", "report.pdf", "report.dcm"):
        assert stranger.get(f"/radiology/reports/{signed.public_id}/{form}").status_code == 404
