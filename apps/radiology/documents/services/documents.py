"""Signed reads as DICOM documents: the row with the signature, the file by a worker."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction

from apps.audit.services import record
from apps.core.bell import ring
from apps.core.clock import now
from apps.radiology.common.headers import as_json, header_of
from apps.radiology.common.store import film_path, flush, incoming, keep
from apps.radiology.documents.reporting import texts_of
from apps.radiology.documents.reports import documents_due, marked_by, organization_of
from apps.radiology.documents.services.dispatches import dispatch_document, ring_sending
from apps.radiology.documents.services.results import new_uid, zone_of
from apps.radiology.models import (
    DOCUMENT_CLASS,
    NOT_REJECTED,
    DocumentKind,
    Instance,
    Read,
    ReportDocument,
    Study,
)
from apps.radiology.studies.flags import identity_changed
from apps.radiology.studies.services.studies import touch
from ml.radiology.contracts import InstanceHeader, Place
from ml.radiology.report import SignedReport, Verifier

log = structlog.get_logger(__name__)
TASK = "radiology.make_reports"
AT_ONCE = 50
RETRY = timedelta(minutes=5)


def add_document(read: Read, kind: DocumentKind) -> None:
    """The read's next document, in the caller's transaction; the one before it is in force no more. Of a read
    of which there is no report there is nothing to reject."""
    last = read.documents.order_by("-number").first()
    if kind == DocumentKind.REJECTION and last is None:
        return
    read.documents.filter(superseded_at=None).update(superseded_at=now())
    document = ReportDocument.objects.create(
        site=read.study.site,
        study=read.study,
        read=read,
        kind=kind,
        SOPClassUID=DOCUMENT_CLASS[kind],
        number=last.number + 1 if last else 1,
        SOPInstanceUID=new_uid(),
        SeriesInstanceUID=last.SeriesInstanceUID if last and last.kind == kind else new_uid(),
        due_at=now(),
    )
    dispatch_document(document)
    ring(TASK)


def ring_documents() -> int:
    """For the sweeper: one bell for however many are due."""
    due = documents_due(now()).exists()
    if due:
        ring(TASK)
    return int(due)


def make_due_documents() -> None:
    for pk in list(documents_due(now()).values_list("pk", flat=True)[:AT_ONCE]):
        try:
            _make(pk)
        except Exception as error:
            # Whatever is wrong with one report, the others' are made.
            log.exception("report_failed", document=pk, error=type(error).__name__)
            ReportDocument.objects.filter(pk=pk).update(due_at=now() + RETRY)


def _make(pk: int) -> None:
    """Written outside a transaction; filed if it still says what was signed."""
    found = ReportDocument.objects.select_related("site", "study__site", "read__reader", "read__study__site")
    document = found.get(pk=pk)
    made = _rejection(document) if document.kind == DocumentKind.REJECTION else _report(document)
    if made is None:
        return
    header, content = made
    with incoming() as path:
        path.write_bytes(content)
        flush(path)
        with transaction.atomic():
            touch(document.study.pk)
            document = found.select_for_update(of=("self",)).get(pk=pk)
            if document.file_sha256 or document.superseded_at or _in_doubt(document):
                return
            document.file_sha256 = hashlib.sha256(content).hexdigest()
            document.file_bytes, document.header, document.made_at = len(content), as_json(header), now()
            document.save(update_fields=["file_sha256", "file_bytes", "header", "made_at"])
            detail = {"document": document.pk, "kind": str(document.kind)}
            subject = f"study:{document.study.pk}"
            record("report.made", site=document.site, actor=None, subject=subject, detail=detail)
            keep(path, film_path(document.site, document.file_sha256))
            ring_sending()


def _in_doubt(document: ReportDocument) -> bool:
    """While it is, nothing is written in the reader's name, least of all under another patient's."""
    if document.kind == DocumentKind.REJECTION or not identity_changed(document.read):
        return False
    _put_off(document)
    return True


def _put_off(document: ReportDocument) -> None:
    ReportDocument.objects.filter(pk=document.pk).update(due_at=now() + RETRY)


def _report(document: ReportDocument) -> tuple[InstanceHeader, bytes] | None:
    # Not at the top: highdicom must not come with the URLconf.
    from ml.radiology.signed_report import make_signed_report

    if _in_doubt(document):
        return None
    read, zone = document.read, zone_of(document.study)
    addenda = [(one.at.astimezone(zone), one.text) for one in read.addenda.order_by("pk")]
    at = addenda[-1][0] if addenda else _signed_at(read).astimezone(zone)
    report = SignedReport(marked_by(read), texts_of(read), addenda, _verifier(read, at))
    films = [header_of(one) for one in _read_films(document.study, at)]
    if not films:  # all were rejected, or moved to another study: they may come back
        _put_off(document)
        return None
    previous = _versions(document)[-1:]
    content = make_signed_report(
        report,
        films,
        place=_place(document),
        number=document.number,
        previous=_place(previous[0]) if previous else None,
    )
    return films[0], content


def _signed_at(read: Read) -> datetime:
    if read.signed_at is None:
        raise ValueError("A document of a read that nobody signed.")  # it is written with the signature
    return read.signed_at


def _rejection(document: ReportDocument) -> tuple[InstanceHeader, bytes] | None:
    """None where no version was ever written: then there is nothing to take back either."""
    from ml.radiology.signed_report import make_rejection

    versions = _versions(document)
    if not versions:
        ReportDocument.objects.filter(pk=document.pk).update(superseded_at=now())
        return None
    header = _header(versions[-1])
    taken_back = document.read.addenda.get(retracts=True).at.astimezone(zone_of(document.study))
    content = make_rejection(
        [_place(one) for one in versions],
        header,
        _verifier(document.read, taken_back),
        place=Place(
            document.SOPClassUID,
            document.SOPInstanceUID,
            document.SeriesInstanceUID,
            header.StudyInstanceUID,
        ),
    )
    return header, content


def _read_films(study: Study, at: datetime) -> list[Instance]:
    """Those in use that had come when it was signed: a later one was not read."""
    films = study.instances.filter(NOT_REJECTED, received_at__lte=at).select_related("study", "site")
    return list(films.order_by("SeriesInstanceUID", "SOPInstanceUID"))


def _versions(document: ReportDocument) -> list[ReportDocument]:
    """The read's reports that were written before, the first first."""
    made = document.read.documents.filter(kind=DocumentKind.REPORT, number__lt=document.number)
    return list(made.exclude(file_sha256="").select_related("read__study").order_by("number"))


def _place(document: ReportDocument) -> Place:
    study_uid = _header(document).StudyInstanceUID if document.header else document.study.StudyInstanceUID
    return Place(document.SOPClassUID, document.SOPInstanceUID, document.SeriesInstanceUID, study_uid)


def _header(document: ReportDocument) -> InstanceHeader:
    kept: dict[str, Any] = dict(document.header or {})
    return InstanceHeader(**{**kept, "ImageType": tuple(kept["ImageType"])})


def _verifier(read: Read, at: datetime) -> Verifier:
    who = read.reader
    return Verifier(who.full_name or who.email, organization_of(read.study.site), at)
