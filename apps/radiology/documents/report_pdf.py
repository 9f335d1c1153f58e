"""A report as a PDF."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from django.utils import timezone

from apps.core.pdf import compiled
from apps.radiology.documents.reports import Report
from apps.radiology.models import Communication, ReadState
from apps.radiology.templatetags.films import dicom_age, dicom_date, dicom_name, dicom_time

TEMPLATE = Path(__file__).with_name("report.typ")
USE = "Research use. Not a medical device."


def as_pdf(report: Report) -> bytes:
    """Times are in the time zone in force."""
    return compiled(TEMPLATE, _data(report))


def _data(report: Report) -> dict[str, Any]:
    study, read = report.study, report.read
    signed = f"signed {_when(read.signed_at)}" if read.signed_at else "not signed"
    return {
        "title": f"Report, {study.StudyDescription or 'radiograph'}",
        "heading": study.StudyDescription or "Radiograph",
        "organization": report.organization,
        "reader": report.reader,
        "synthetic": study.synthetic,
        "facts": [[name, text or "not given"] for name, text in _facts(report)],
        "patient_line": ", ".join(
            (dicom_name(study.PatientName) or "name not given", study.PatientID or "no number")
        ),
        "flagged": [[name, was or "nothing", now or "nothing"] for name, was, now in _changes(report)],
        "standing": "" if read.state == ReadState.FINAL else report.standing,
        "retracted": read.state == ReadState.RETRACTED,
        "sections": list(_sections(report)),
        "signature": f"Read by {report.reader}, {signed}.",
        "use": USE,
    }


def _facts(report: Report) -> Iterator[tuple[str, str]]:
    study = report.study
    yield "Patient", dicom_name(study.PatientName)
    yield "Number", study.PatientID
    yield "Born", dicom_date(study.PatientBirthDate)
    yield "Sex, age", ", ".join(filter(None, (study.PatientSex, dicom_age(study.PatientAge))))
    yield "Examined", " ".join(filter(None, (dicom_date(study.StudyDate), dicom_time(study.StudyTime))))
    yield "Accession", study.AccessionNumber


def _changes(report: Report) -> Iterator[tuple[str, str, str]]:
    for change in report.changes:
        yield from change.changes


def _sections(report: Report) -> Iterator[dict[str, Any]]:
    for block in report.blocks:
        yield {"title": block.title, "marked": list(block.marked), "text": block.text}
    for one in report.addenda:
        kind = "Retraction" if one.retracts else "Addendum"
        yield {"title": f"{kind}, {_when(one.at)}", "marked": [], "text": one.text}
    if told := [_told(one) for one in report.communications]:
        yield {"title": "Communication of critical findings", "marked": told, "text": ""}


def _told(one: Communication) -> str:
    if one.told_at is None or one.told_by is None:
        return f"{one.finding}: nobody told yet."
    by = one.told_by.full_name or one.told_by.email
    back = ", read back" if one.read_back else ""
    how = one.get_channel_display()
    return f"{one.finding}: {one.told_to} told {how} by {by}{back}, {_when(one.told_at)}."


def _when(at: datetime) -> str:
    return timezone.localtime(at).strftime("%Y-%m-%d %H:%M")
