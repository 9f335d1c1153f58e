"""What QIDO-RS lists beside the films: results of ours that say what a study is now, for who may see them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db.models import Case, CharField, Q, QuerySet, Value, When

from apps.accounts.auth import Caller
from apps.radiology.models import ReportDocument, Result, ResultKind, Study
from apps.radiology.reads import opened_to
from apps.radiology.reports import shown_documents
from apps.radiology.results import results_by_study

# As their headers have it (`ml.radiology.structured_report`, `secondary_capture`).
MODALITY = {ResultKind.REPORT: "SR", ResultKind.CAPTURE: "OT"}
_NOT_KEPT = ("BodyPartExamined", "ViewPosition", "SeriesDescription")
Values = dict[str, Any]


def listed_results(
    caller: Caller, studies: Collection[Study], film: Q | None = None
) -> list[Result | ReportDocument]:
    """Of these studies, those that match `film`, with `Modality`; then signed reports. Always as many
    queries."""
    opened = opened_to(caller.user, studies)
    fresh = results_by_study([study for study in studies if study.pk in opened])
    keys = [one.pk for results in fresh.values() for one in results]
    found = _as_instances(keys).filter(film or Q()).order_by("SeriesInstanceUID", "SOPInstanceUID")
    signed = shown_documents(caller.user, studies).annotate(Modality=_text("SR"), **_empty())
    return [*found, *signed.filter(film or Q()).order_by("SeriesInstanceUID", "SOPInstanceUID")]


def _as_instances(keys: list[int]) -> QuerySet[Result]:
    kinds = [When(kind=kind, then=Value(modality)) for kind, modality in MODALITY.items()]
    modality = Case(*kinds, output_field=CharField())
    return Result.objects.filter(pk__in=keys).annotate(Modality=modality, **_empty())


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


def result_series(results: Collection[Any]) -> list[tuple[int, Values]]:
    """The series they make, each with its study's key."""
    series: dict[str, tuple[int, Values]] = {}
    for one in results:
        told = {"SeriesInstanceUID": one.SeriesInstanceUID, "Modality": one.Modality}
        empty = {**told, "SeriesDescription": "", "NumberOfSeriesRelatedInstances": 0}
        _, values = series.setdefault(one.SeriesInstanceUID, (one.study_id, empty))
        values["NumberOfSeriesRelatedInstances"] += 1
    return list(series.values())
