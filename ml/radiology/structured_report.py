"""A study's findings as a DICOM Structured Report, TID 1500: preliminary and unverified."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime

import pydicom.config
from highdicom.sr import (
    AlgorithmIdentification,
    CodeContentItem,
    ComprehensiveSR,
    ContainerContentItem,
    ContentItem,
    ContentSequence,
    DeviceObserverIdentifyingAttributes,
    ImageContentItem,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    QualitativeEvaluation,
    RelationshipTypeValues,
    SourceImageForMeasurementGroup,
    TextContentItem,
    TrackingIdentifier,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code as DicomCode

from ml.radiology.codes import (
    CALL,
    CALLED,
    MODALITIES,
    NO_POINT,
    NOT_CALLED,
    OPERATING_POINT,
    VIEWS,
    procedure_of,
    view_of,
)
from ml.radiology.contracts import Algorithm, FindingScore, InstanceHeader, Place, ReadFilm
from ml.radiology.result_headers import as_file, concept, equipment, identify, own_codes, stamp
from ml.radiology.vocabulary import PRELIMINARY, RESEARCH_USE, says, term_of

DESCRIPTION = "AI structured report, preliminary"
SERIES_NUMBER = 9001
# Rows 8 to 14 of TID 1500, which highdicom does not write.
_EVALUATIONS = DicomCode("C0034375", "UMLS", "Qualitative Evaluations")
_SOURCE = DicomCode("260753009", "SCT", "Source")
_CONTAINS, _ACQUIRED = RelationshipTypeValues.CONTAINS, RelationshipTypeValues.HAS_ACQ_CONTEXT


class _Report(ComprehensiveSR):
    def copy_patient_and_study_information(self, dataset: Dataset) -> None:
        """Nothing to copy: `identify` writes it, also of a film whose class highdicom does not know."""


def make_report(
    films: Sequence[ReadFilm],
    *,
    statement: str,
    films_in_study: int,
    place: Place,
    previous: Place | None,
    at: datetime,
) -> bytes:
    """A DICOM file of class Comprehensive SR with one measurement group a film and finding.

    `films` are those that were analysed, at least one; `statement` is of the study as a whole; `previous` is
    the report that this one replaces; `at` is in the time zone of the study's own times.
    """
    with pydicom.config.disable_value_validation():
        comment = f"Films analysed: {len(films)} of {films_in_study}. {PRELIMINARY} {RESEARCH_USE}"
        report = _Report(
            evidence=[evidence_of(film.header) for film in films],
            content=_content(films, [(codes.DCM.Summary, statement), (codes.DCM.Comment, comment)]),
            series_instance_uid=place.SeriesInstanceUID,
            series_number=SERIES_NUMBER,
            series_description=DESCRIPTION,
            sop_instance_uid=place.SOPInstanceUID,
            instance_number=1,
            is_complete=False,
            is_final=False,
            is_verified=False,
            previous_versions=None if previous is None else [reference_to(previous)],
            coding_schemes=own_codes(),
            **equipment(film.algorithm for film in films),
        )
        identify(report, films[0].header)
        stamp(report, at)
    return as_file(report)


def tracking_uid(film: InstanceHeader, label: str) -> str:
    """The same finding of the same film keeps it from report to report."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, f'{film.SOPInstanceUID}/{label}').int}"


def _content(films: Sequence[ReadFilm], texts: Sequence[tuple[DicomCode, str]]) -> MeasurementReport:
    groups = [_group(film, finding) for film in films for finding in film.findings]
    content = MeasurementReport(
        observation_context=_observer(films[0].algorithm),
        procedure_reported=concept(procedure_of([film.header.ViewPosition for film in films])),
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
    )
    *before, measurements = content[0].ContentSequence
    evaluations = _container(_EVALUATIONS, [TextContentItem(name, text, _CONTAINS) for name, text in texts])
    items = [*before, _library(films), measurements, evaluations]
    content[0].ContentSequence = ContentSequence(items)
    return content


def _observer(algorithm: Algorithm) -> ObservationContext:
    device = DeviceObserverIdentifyingAttributes(
        uid=f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, algorithm.artefact_hash).int}",
        name=algorithm.name,
        manufacturer_name="Lynceus",
        model_name=algorithm.name,
        serial_number=algorithm.version,
    )
    return ObservationContext(observer_device_context=ObserverContext(codes.DCM.Device, device))


def _group(film: ReadFilm, finding: FindingScore) -> MeasurementsAndQualitativeEvaluations:
    point = finding.operating_point
    call = NO_POINT if point is None else CALLED if finding.positive else NOT_CALLED
    numbers = [Measurement(codes.DCM.Probability, round(finding.probability, 4), codes.UCUM.NoUnits)]
    if point is not None:
        numbers.append(Measurement(concept(OPERATING_POINT), round(point, 4), codes.UCUM.NoUnits))
    header, who = film.header, film.algorithm
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(tracking_uid(header, finding.label), says(finding.label)),
        finding_type=concept(term_of(finding.label).code),
        algorithm_id=AlgorithmIdentification(
            who.name, who.version, [f"artefact SHA-256 {who.artefact_hash}"], manufacturer="Lynceus"
        ),
        measurements=numbers,
        qualitative_evaluations=[QualitativeEvaluation(concept(CALL), concept(call))],
        source_images=[SourceImageForMeasurementGroup(header.SOPClassUID, header.SOPInstanceUID)],
    )


def _library(films: Sequence[ReadFilm]) -> ContainerContentItem:
    """TID 1600, with what a film's header says of modality, view and size."""
    images = [_image(film.header) for film in films]
    group = _container(codes.DCM.ImageLibraryGroup, images)
    return _container(codes.DCM.ImageLibrary, [group])


def _image(header: InstanceHeader) -> ImageContentItem:
    item = ImageContentItem(_SOURCE, header.SOPClassUID, header.SOPInstanceUID, relationship_type=_CONTAINS)
    known = {
        codes.DCM.Modality: MODALITIES.get(header.Modality.upper()),
        codes.DCM.ImageView: VIEWS.get(view_of(header.ViewPosition)),
    }
    item.ContentSequence = ContentSequence(
        [CodeContentItem(name, concept(code), _ACQUIRED) for name, code in known.items() if code]
    )
    return item


def _container(name: DicomCode, items: Sequence[ContentItem]) -> ContainerContentItem:
    container = ContainerContentItem(name, relationship_type=_CONTAINS)
    container.ContentSequence = ContentSequence(items)
    return container


def evidence_of(header: InstanceHeader) -> Dataset:
    data = Dataset()
    for keyword in ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID"):
        setattr(data, keyword, getattr(header, keyword))
    identify(data, header)
    # highdicom warns, and quotes it, of a name without this.
    data.PatientName = "^"
    return data


def reference_to(place: Place) -> Dataset:
    data = Dataset()
    for keyword in ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
        setattr(data, keyword, getattr(place, keyword))
    return data
