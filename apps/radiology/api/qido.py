"""QIDO-RS (PS3.18 10.6): which studies, series and instances are in use at the caller's site.

Newest first by when they came, in an order that does not change while a client turns pages: what arrives
meanwhile can show a row twice and hides none. Films come before what was made of them, and signed reports
last. A page costs so many queries at most, however many rows it has.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import orjson
from django.db.models import Count, Max, QuerySet
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from apps.accounts.auth import Caller
from apps.accounts.models import Site
from apps.audit.services import record
from apps.radiology.api.accept import json_kind
from apps.radiology.api.attributes import several
from apps.radiology.api.dicomweb import caller_for, not_found
from apps.radiology.api.matching import Asked, asked_in
from apps.radiology.common.headers import IDENTITY
from apps.radiology.common.selectors import study_by_uid
from apps.radiology.documents.contents import files_of
from apps.radiology.documents.listed_results import listed_results, result_series, result_values
from apps.radiology.models import NOT_REJECTED, Instance, Study

Values = dict[str, Any]
# Beyond what PS3.18 tables 10.6.3-3 to 10.6.3-5 give unasked: only to who includes them.
EXTRA = {
    "IssuerOfPatientID", "PatientAge", "StudyDescription", "SOPClassesInStudy", "BodyPartExamined",
    "ViewPosition", "AvailableTransferSyntaxUID",
}  # fmt: skip
OF_A_STUDY = {*IDENTITY, "ModalitiesInStudy", "SOPClassesInStudy", "NumberOfStudyRelatedSeries",
              "NumberOfStudyRelatedInstances", "ReferringPhysicianName", "StudyID"}  # fmt: skip


@require_GET
def studies(request: HttpRequest) -> HttpResponse:
    caller, kind, asked = caller_for(request), json_kind(request), asked_in(request.GET)
    found = _studies(caller.site, asked)
    if asked.film:
        films = Instance.objects.filter(NOT_REJECTED, asked.film, site=caller.site)
        found = found.filter(pk__in=films.values("study"))
    page, more = _page([found.order_by("-pk")], asked)
    rows = _study_values(caller, page)
    answers = [_shown(rows[study.pk], asked) for study in page]
    return _answer(request, caller, kind, asked, "studies", answers, more)


@require_GET
def series(request: HttpRequest, study_uid: str = "") -> HttpResponse:
    caller, kind, asked = caller_for(request), json_kind(request), asked_in(request.GET)
    found = [
        source.order_by().values("study_id", "SeriesInstanceUID").distinct()
        for source in _below(caller, asked, study_uid)
    ]
    page, more = _page([source.order_by("-study_id", "SeriesInstanceUID") for source in found], asked)
    rows = {**result_series(caller, page), **_series_values(page)}
    above = _study_values(caller, Study.objects.filter(pk__in={key["study_id"] for key in page}))
    answers = []
    for key in page:
        study = above[key["study_id"]]
        uid = key["SeriesInstanceUID"]
        values = rows.get((key["study_id"], uid), {"SeriesInstanceUID": uid})  # gone between the questions
        values["RetrieveURL"] = f"{study['RetrieveURL']}/series/{uid}"
        answers.append(_shown({**study, **values}, asked, within=bool(study_uid)))
    return _answer(request, caller, kind, asked, "series", answers, more)


@require_GET
def instances(request: HttpRequest, study_uid: str = "", series_uid: str = "") -> HttpResponse:
    caller, kind, asked = caller_for(request), json_kind(request), asked_in(request.GET)
    order = ("-study_id", "SeriesInstanceUID", "SOPInstanceUID")
    found = [source.order_by(*order) for source in _below(caller, asked, study_uid, series_uid)]
    page, more = _page(found, asked)
    above = _study_values(caller, Study.objects.filter(pk__in={one.study_id for one in page}))
    answers = []
    for one in page:
        study = above[one.study_id]
        tell = _film_values if isinstance(one, Instance) else result_values
        answers.append(_shown({**study, **tell(one, study["RetrieveURL"])}, asked, within=bool(study_uid)))
    return _answer(request, caller, kind, asked, "instances", answers, more)


def _studies(site: Site, asked: Asked) -> QuerySet[Study]:
    return Study.objects.filter(asked.study, site=site, withdrawn=False)


def _below(caller: Caller, asked: Asked, study_uid: str, series_uid: str = "") -> list[QuerySet[Any, Any]]:
    """Films, what was made of the model's findings, signed reports. LynceusError 404 where the address names
    a study or series that is not here."""
    studies = _studies(caller.site, asked)
    if not study_uid:
        return [_films(caller.site, asked), *listed_results(caller, studies, asked.film)]
    study = study_by_uid(caller.site, study_uid)
    if study is None:
        raise not_found()
    results = listed_results(caller, studies.filter(pk=study.pk), asked.film)
    found = [_films(caller.site, asked).filter(study=study), *results]
    if not series_uid:
        return found
    if not any(file.SeriesInstanceUID == series_uid for file in files_of(study, caller.user)):
        raise not_found()
    return [source.filter(SeriesInstanceUID=series_uid) for source in found]


def _films(site: Site, asked: Asked) -> QuerySet[Instance]:
    return Instance.objects.filter(NOT_REJECTED, asked.film, site=site, study__in=_studies(site, asked))


def _page(sources: Sequence[QuerySet[Any, Any]], asked: Asked) -> tuple[list[Any], bool]:
    """Of all that the sources hold, one after the other; and whether there is more."""
    wanted, start = asked.limit + 1, asked.offset
    rows: list[Any] = []
    for source in sources:
        rows += source[start : start + wanted - len(rows)]
        if len(rows) == wanted:
            break
        start = 0 if rows else max(0, start - source.count())
    return rows[: asked.limit], len(rows) > asked.limit


def _study_values(caller: Caller, found: Iterable[Study]) -> dict[int, Values]:
    """By study, what there is to say of it; of its films in one query for all, and so of its results."""
    by_pk = {study.pk: study for study in found}
    films = Instance.objects.filter(NOT_REJECTED, study__in=by_pk)
    counted: Any = films.values("study_id", "SeriesInstanceUID", "Modality", "SOPClassUID")
    groups: dict[int, list[Values]] = defaultdict(list)
    for group in counted.annotate(n=Count("pk")):
        groups[group["study_id"]].append(group)
    for one in chain(*listed_results(caller, Study.objects.filter(pk__in=by_pk))):
        told = {name: getattr(one, name) for name in ("SeriesInstanceUID", "Modality", "SOPClassUID")}
        groups[one.study_id].append({**told, "n": 1})
    return {pk: _one_study(study, groups[pk]) for pk, study in by_pk.items()}


def _one_study(study: Study, groups: Sequence[Values]) -> Values:
    return {
        "StudyInstanceUID": study.StudyInstanceUID,
        **{name: getattr(study, name) for name in IDENTITY},
        "InstanceAvailability": "ONLINE",
        "ModalitiesInStudy": sorted({group["Modality"] for group in groups} - {""}),
        "SOPClassesInStudy": sorted({group["SOPClassUID"] for group in groups}),
        "NumberOfStudyRelatedSeries": len({group["SeriesInstanceUID"] for group in groups}),
        "NumberOfStudyRelatedInstances": sum(group["n"] for group in groups),
        "ReferringPhysicianName": study.ReferringPhysicianName,
        "StudyID": study.StudyID,
        "RetrieveURL": f"studies/{study.StudyInstanceUID}",
    }


def _series_values(page: Sequence[Values]) -> dict[tuple[int, str], Values]:
    films = Instance.objects.filter(
        NOT_REJECTED,
        study__in={key["study_id"] for key in page},
        SeriesInstanceUID__in={key["SeriesInstanceUID"] for key in page},
    )
    grouped = films.values("study_id", "SeriesInstanceUID").annotate(
        n=Count("pk"), modality=Max("Modality"), said=Max("SeriesDescription"), part=Max("BodyPartExamined")
    )
    return {
        (group["study_id"], group["SeriesInstanceUID"]): {
            "SeriesInstanceUID": group["SeriesInstanceUID"],
            "Modality": group["modality"],
            "SeriesDescription": group["said"],
            "BodyPartExamined": group["part"],
            "NumberOfSeriesRelatedInstances": group["n"],
        }
        for group in grouped
    }


def _film_values(film: Instance, below: str) -> Values:
    return {
        "SOPClassUID": film.SOPClassUID,
        "SOPInstanceUID": film.SOPInstanceUID,
        "SeriesInstanceUID": film.SeriesInstanceUID,
        "Modality": film.Modality,
        "SeriesDescription": film.SeriesDescription,
        "BodyPartExamined": film.BodyPartExamined,
        "ViewPosition": film.ViewPosition,
        "Rows": film.Rows,
        "Columns": film.Columns,
        "NumberOfFrames": film.NumberOfFrames,
        "AvailableTransferSyntaxUID": film.TransferSyntaxUID,
        "RetrieveURL": f"{below}/series/{film.SeriesInstanceUID}/instances/{film.SOPInstanceUID}",
    }


def _shown(values: Values, asked: Asked, *, within: bool = False) -> Values:
    """What is given unasked and what is included. Inside one study its own attributes go without saying."""
    wanted = asked.included | asked.names
    left_out = EXTRA | (OF_A_STUDY if within else set())
    return {
        name: value
        for name, value in values.items()
        if "all" in wanted or name in wanted or name not in left_out
    }


def _answer(
    request: HttpRequest,
    caller: Caller,
    kind: str,
    asked: Asked,
    level: str,
    rows: list[Values],
    more: bool,
) -> HttpResponse:
    root = request.build_absolute_uri("/dicom-web/")
    # Which attributes were matched on, never their values.
    detail = {"level": level, "matched": sorted(asked.names), "found": len(rows), "offset": asked.offset}
    record("studies.searched", site=caller.site, actor=caller.user or caller.client, detail=detail)
    found = [several({**row, "RetrieveURL": root + row["RetrieveURL"]}) for row in rows]
    response = HttpResponse(orjson.dumps(found), content_type=kind) if found else HttpResponse(status=204)
    warnings = []
    if asked.ignored:
        warnings.append("Not matched on: " + ", ".join(sorted(asked.ignored - {""}) or ["sequences"]))
    if more:
        warnings.append("There are additional results that can be requested with offset")
    if warnings:
        response["Warning"] = ", ".join(f'299 Lynceus "{said}"' for said in warnings)
    return response
