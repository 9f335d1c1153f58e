"""What QIDO-RS lists beside the films: results of ours that say what a study is now, for who may see them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db.models import Case, CharField, Count, Q, QuerySet, Value, When

from apps.accounts.auth import Caller
from apps.radiology.documents.reports import shown_documents
from apps.radiology.documents.results import results_in_force
from apps.radiology.models import ResultKind, Study
from apps.radiology.studies.reads import opened_studies

# As their headers have it (`ml.radiology.structured_report`, `secondary_capture`).
MODALITY = {ResultKind.REPORT: "SR", ResultKind.CAPTURE: "OT"}
_NOT_KEPT = ("BodyPartExamined", "ViewPosition", "SeriesDescription")
Values = dict[str, Any]


def listed_results(
    caller: Caller, studies: QuerySet[Study], film: Q | None = None
) -> list[QuerySet[Any, Any]]:
    """Of these studies of one site, those that match `film`, with `Modality`: what was made of the model's
    findings, and apart from it the signed reports."""
    kinds = [When(kind=kind, then=Value(modality)) for kind, modality in MODALITY.items()]
    found = results_in_force(opened_studies(caller.user, studies))
    made = found.annotate(Modality=Case(*kinds, output_field=CharField()), **_empty())
    signed = shown_documents(caller.user, studies).annotate(Modality=_text("SR"), **_empty())
    return [made.filter(film or Q()), signed.filter(film or Q())]


def _empty() -> dict[str, Value]:
    return {name: _text("") for name in _NOT_KEPT}


def _text(value: str) -> Value:
    return Value(value, CharField())


def result_values(result: Any, below: str) -> Values:
    return {
        "SOPClassUID": result.SOPClassUID,
        "SOPInstanceUID": result.SOPInstanceUID,
        "SeriesInstanceUID": result.SeriesInstanceUID,
        "Modality": result.Modality,
        "AvailableTransferSyntaxUID": result.TransferSyntaxUID,
        "RetrieveURL": f"{below}/series/{result.SeriesInstanceUID}/instances/{result.SOPInstanceUID}",
    }


def result_series(caller: Caller, keys: Collection[Values]) -> dict[tuple[int, str], Values]:
    """Of these series, by study and UID, those of results; with all that the caller may see of each."""
    studies = Study.objects.filter(pk__in={key["study_id"] for key in keys})
    series: dict[tuple[int, str], Values] = {}
    for source in listed_results(caller, studies):
        those = source.filter(SeriesInstanceUID__in={key["SeriesInstanceUID"] for key in keys})
        rows = those.order_by().values("study_id", "SeriesInstanceUID", "Modality")
        for row in rows.annotate(NumberOfSeriesRelatedInstances=Count("pk")):
            key = row.pop("study_id"), row["SeriesInstanceUID"]
            series[key] = {**row, "SeriesDescription": ""}
    return series
