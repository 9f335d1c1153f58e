"""Templated text: what was not touched is unknown, and not in the report."""

from __future__ import annotations

import pytest

from apps.radiology.documents.reporting import BUILT_IN, said_in, texts_of
from apps.radiology.models import Mark, Read, ReportTemplate
from apps.radiology.tasks import make_reports
from ml.radiology.vocabulary import forbidden_in
from tests.radiology.reads.conftest import page_of
from tests.radiology.reports.conftest import document
from tests.radiology.results.conftest import texts

OFFERED = "Lungs:\nPleura:\nHeart and mediastinum:\nBones and soft tissues:\nDevices:"


@pytest.mark.parametrize(
    ("text", "adopted", "said"),
    [
        (OFFERED, False, ""),
        (OFFERED.replace("Pleura:", "Pleura: effusion, left."), False, "Pleura: effusion, left."),
        (f"  {OFFERED}  \n\n", False, ""),
        (OFFERED, True, OFFERED),
        (f"{OFFERED}\nDevices:", False, "Devices:"),  # once more than the template has it
        ("", False, ""),
        ("My own words.", False, "My own words."),
    ],
)
def test_only_lines_that_are_not_the_templates_are_said(text, adopted, said) -> None:
    assert said_in(OFFERED, text, adopted=adopted) == said


def test_the_templates_that_come_along_claim_nothing() -> None:
    for template in BUILT_IN:
        for text in template.texts.values():
            assert forbidden_in(text) == []


def test_it_works(radiologist, study, press) -> None:
    press(study)
    press(study, "template", template="chest_pa")
    page = page_of(radiologist, study)
    for name in ("indication", "technique", "comparison", "findings", "impression"):
        assert f'name="section-{name}"' in page
    assert "Heart and mediastinum:" in page
    written = {
        "section-indication": "Cough.",
        "section-technique": "Chest radiograph, PA view.",
        "section-findings": OFFERED.replace("Lungs:", "Lungs: opacity at the right base."),
    }
    press(study, "keep", **written)
    press(study, "commit", **written)
    press(study, "sign", **written)
    read = Read.objects.get()
    assert texts_of(read) == [
        ("indication", "Cough."),
        ("findings", "Lungs: opacity at the right base."),
    ]
    assert read.text == "Indication\nCough.\n\nFindings\nLungs: opacity at the right base."
    assert not Mark.objects.exists()  # text is no label
    make_reports.run()
    words = " ".join(texts(document(read)))
    assert "Lungs: opacity" in words
    assert "PA view" not in words
    assert "Pleura" not in words
    shown = radiologist.get(f"/radiology/reports/{read.public_id}/").content.decode()
    assert "Cough." in shown
    assert "Pleura:" not in shown


def test_a_section_the_reader_takes_over_is_said(study, press) -> None:
    press(study)
    press(study, "template", template="chest_pa")
    technique = {"section-technique": "Chest radiograph, PA view."}
    press(study, "keep", **technique, **{"adopted-technique": "on"})
    assert texts_of(Read.objects.get()) == [("technique", "Chest radiograph, PA view.")]
    press(study, "keep", **technique)
    assert texts_of(Read.objects.get()) == []


def test_without_the_look_at_the_template_its_text_would_be_said(study, press, monkeypatch) -> None:
    press(study)
    press(study, "template", template="chest_pa")
    monkeypatch.setattr("apps.radiology.documents.reporting.said_in", lambda offered, text, **how: text)
    assert ("findings", OFFERED) in texts_of(Read.objects.get())


def test_nothing_that_was_written_is_lost_with_another_template(radiologist, study, press) -> None:
    press(study)
    press(study, "keep", text="Small effusion.")
    press(study, "template", template="chest_pa_lateral")
    assert texts_of(Read.objects.get()) == [("findings", "Small effusion.")]
    assert "Lateral view:\nSmall effusion." in page_of(radiologist, study)
    press(study, "template", template="")
    read = Read.objects.get()
    assert (read.text, read.sections.count()) == ("Small effusion.", 0)


def test_a_site_has_templates_of_its_own(radiologist, study, press, client, make_user, site) -> None:
    from django.test import Client

    operator = Client()
    operator.force_login(make_user("operator"))
    form = {"site": site.pk, "name": "Ward round", "findings": "Tubes:\nLines:", "is_active": "on"}
    assert operator.post("/admin/radiology/reporttemplate/add/", form).status_code == 302
    press(study)
    assert "Ward round" in page_of(radiologist, study)
    own = ReportTemplate.objects.get()
    press(study, "template", template=f"site-{own.pk}")
    assert "Tubes:" in page_of(radiologist, study)
    ReportTemplate.objects.update(findings="Something else", is_active=False)
    press(study, "keep", **{"section-findings": "Tubes:\nLines: in place."})
    assert texts_of(Read.objects.get()) == [("findings", "Lines: in place.")]
    assert press(study, "template", template=f"site-{own.pk}").status_code == 404


def test_of_another_site_there_is_no_template(study, press, other_site) -> None:
    theirs = ReportTemplate.objects.create(site=other_site, name="Theirs", findings="x")
    press(study)
    assert press(study, "template", template=f"site-{theirs.pk}").status_code == 404


def test_a_signed_report_is_not_written_any_more(signed, press) -> None:
    assert press(signed.study, "template", template="chest_pa").status_code == 409
    assert press(signed.study, "keep", **{"section-findings": "More."}).status_code == 409


def test_a_report_has_an_end(study, press) -> None:
    press(study)
    press(study, "template", template="chest_pa")
    assert press(study, "keep", **{"section-findings": "x" * 20_001}).status_code == 422
