"""A signed read as a DICOM Structured Report, TID 2000 in an Enhanced SR: final, and verified by its reader.

And its retraction: a rejection note (IHE IOCM) that takes every version of the report out of use.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import pydicom.config
from highdicom.ko import KeyObjectSelection, KeyObjectSelectionDocument
from highdicom.sr import (
    CodeContentItem,
    CodedConcept,
    ContainerContentItem,
    ContentItem,
    ContentSequence,
    EnhancedSR,
    LanguageOfContentItemAndDescendants,
    ObserverContext,
    PersonObserverIdentifyingAttributes,
    RelationshipTypeValues,
    TextContentItem,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.valuerep import DT

from ml.radiology.codes import DCM, LOINC, Code
from ml.radiology.contracts import InstanceHeader, Place
from ml.radiology.report import ADDENDUM, SECTIONS, SIDE, Heading, Marked, SignedReport, Verifier
from ml.radiology.result_headers import as_file, concept, identify, own_codes, stamp
from ml.radiology.structured_report import evidence_of, reference_to
from ml.radiology.vocabulary import RESEARCH_USE

DESCRIPTION = "Radiology report"
REPORT_SERIES, REJECTION_SERIES = 9003, 9004
_TITLE = Code("18748-4", LOINC, "Diagnostic Imaging Report")
_REJECTED = Code("113037", DCM, "Rejected for Patient Safety Reasons")
# The program the report was written with. No algorithm had a part in it.
MAKER: dict[str, Any] = {"manufacturer": "Lynceus", "manufacturer_model_name": "Lynceus"}
_ENGLISH = CodedConcept("en", "RFC5646", "English")
_CONTAINS, _MODIFIED = RelationshipTypeValues.CONTAINS, RelationshipTypeValues.HAS_CONCEPT_MOD


class _Report(EnhancedSR):
    def copy_patient_and_study_information(self, dataset: Dataset) -> None:
        """Nothing to copy: `identify` writes it, also of a film whose class highdicom does not know."""


def make_signed_report(
    report: SignedReport,
    films: Sequence[InstanceHeader],
    *,
    place: Place,
    number: int,
    previous: Place | None,
) -> bytes:
    """A DICOM file. `films` are what was read, at least one; `number` counts the report's versions from 1;
    `previous` is the version that this one replaces."""
    who = report.verifier
    with pydicom.config.disable_value_validation():
        document = _Report(
            evidence=[evidence_of(film) for film in films],
            content=_content(report),
            series_instance_uid=place.SeriesInstanceUID,
            series_number=REPORT_SERIES,
            series_description=DESCRIPTION,
            sop_instance_uid=place.SOPInstanceUID,
            instance_number=number,
            is_complete=True,
            is_final=True,
            is_verified=True,
            verifying_observer_name=who.person_name,
            verifying_organization=who.organization[:64],
            previous_versions=None if previous is None else [reference_to(previous)],
            coding_schemes=own_codes(),
            **MAKER,
        )
        document.VerifyingObserverSequence[0].VerificationDateTime = DT(who.at.strftime("%Y%m%d%H%M%S%z"))
        identify(document, films[0])
        stamp(document, who.at)
    return as_file(document)


def make_rejection(
    versions: Sequence[Place], header: InstanceHeader, verifier: Verifier, *, place: Place
) -> bytes:
    """A DICOM file that names every version of a retracted report; `header` says under whose name it is."""
    with pydicom.config.disable_value_validation():
        rejected = [_version(one, header) for one in versions]
        note = KeyObjectSelectionDocument(
            evidence=rejected,
            content=KeyObjectSelection(
                document_title=concept(_REJECTED),
                referenced_objects=rejected,
                observer_person_context=_observer(verifier),
                description="The report was retracted: it is of the wrong patient.",
            ),
            series_instance_uid=place.SeriesInstanceUID,
            series_number=REJECTION_SERIES,
            series_description="Radiology report retracted",
            sop_instance_uid=place.SOPInstanceUID,
            instance_number=1,
            **MAKER,
        )
        identify(note, header)
        stamp(note, verifier.at)
    return as_file(note)


def _content(report: SignedReport) -> ContainerContentItem:
    root = ContainerContentItem(concept(_TITLE), is_content_continuous=False, template_id="2000")
    root.ContentSequence = ContentSequence(
        [
            *LanguageOfContentItemAndDescendants(_ENGLISH),
            *_observer(report.verifier),
            *_sections(report),
            _text(codes.DCM.Comment, RESEARCH_USE),
        ]
    )
    return root


def _observer(verifier: Verifier) -> ObserverContext:
    person = PersonObserverIdentifyingAttributes(
        verifier.person_name, organization_name=verifier.organization[:64]
    )
    return ObserverContext(codes.DCM.Person, person)


def _sections(report: SignedReport) -> Iterator[ContainerContentItem]:
    """In their usual order; what was marked is among the findings."""
    written = dict(report.texts)
    for key, heading in SECTIONS.items():
        items: list[ContentItem] = []
        if key == "findings":
            items = [item for one in report.marked for item in _marked(one)]
        if written.get(key):
            items.append(_text(concept(heading.text), written[key]))
        if items:
            yield _container(heading, items)
    for at, text in report.addenda:
        yield _container(ADDENDUM, [_text(concept(ADDENDUM.text), f"{_when(at)}: {text}")])


def _marked(one: Marked) -> list[ContentItem]:
    """The finding is the name and its presence the value. The other way round, as "Finding" with a modifier,
    who does not look at modifiers would take what is absent for present."""
    said = CodeContentItem(concept(one.finding), concept(one.presence), _CONTAINS)
    if one.laterality is not None:
        side = CodeContentItem(concept(SIDE), concept(one.laterality), _MODIFIED)
        said.ContentSequence = ContentSequence([side])
    return [said, _text(codes.DCM.Finding, one.sentence)]


def _container(heading: Heading, items: Sequence[ContentItem]) -> ContainerContentItem:
    container = ContainerContentItem(
        concept(heading.code), is_content_continuous=False, relationship_type=_CONTAINS
    )
    container.ContentSequence = ContentSequence(items)
    return container


def _text(name: CodedConcept, text: str) -> TextContentItem:
    lines = re.sub(r"[^\S\n]|[\x00-\x09\x0b-\x1f]", " ", text).splitlines()
    return TextContentItem(name, "\r\n".join(line.rstrip() for line in lines), _CONTAINS)


def _when(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M %z")


def _version(place: Place, header: InstanceHeader) -> Dataset:
    data = evidence_of(header)
    for keyword in ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
        setattr(data, keyword, getattr(place, keyword))
    return data
