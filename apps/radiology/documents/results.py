"""Reads: what was made of a study's findings, what it rests on, and for which studies it is due."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.db.models import F, Q, QuerySet

from apps.accounts.models import Site
from apps.core.clock import now
from apps.radiology.common.headers import WHOSE
from apps.radiology.models import (
    NOT_REJECTED,
    OPEN,
    Analysis,
    Instance,
    ReportDocument,
    Result,
    Status,
    Study,
)
from apps.radiology.studies.changes import in_question


def latest_analyses(study: Study) -> dict[int, Analysis]:
    """By instance, of those in use that are analysed."""
    spoken = Analysis.objects.select_related("version").prefetch_related("findings")
    mine = spoken.filter(instance__study=study, instance__status=Status.ANALYSED, instance__rejected_by=None)
    return {analysis.instance_id: analysis for analysis in mine.order_by("pk")}


def basis_of(study: Study) -> str:
    """SHA-256 over all that a result says: whose study it is, its films, and what was said of each."""
    return bases_of([study])[study.pk]


def bases_of(studies: Collection[Study]) -> dict[int, str]:
    """The same of each. Always two queries."""
    films = Instance.objects.filter(NOT_REJECTED, study__in=[study.pk for study in studies]).order_by("pk")
    latest = Analysis.objects.filter(instance__in=films, instance__status=Status.ANALYSED).order_by("pk")
    said = dict(latest.values_list("instance_id", "pk"))
    rows: dict[int, list[Any]] = {study.pk: [] for study in studies}
    kept = ("study_id", "pk", "file_sha256", "SeriesInstanceUID", "status", "reason_code")
    for study_id, pk, *row in films.values_list(*kept):
        rows[study_id].append([pk, *row, said.get(pk)])
    return {study.pk: _hash(study, rows[study.pk]) for study in studies}


def _hash(study: Study, rows: list[Any]) -> str:
    whose = {name: getattr(study, name) for name in WHOSE}
    return hashlib.sha256(json.dumps([whose, rows]).encode()).hexdigest()


def results_of(study: Study) -> list[Result]:
    """Those that say what the study is now, the report first."""
    in_force = study.results.filter(superseded_at=None).select_related("site", "instance")
    held = list(in_force.order_by("-kind", "pk"))
    return [one for one in held if one.basis == basis_of(study)] if held else []


def results_in_force(studies: QuerySet[Study]) -> QuerySet[Result]:
    """As `results_of` of each. Only where a study changed since its results were looked at, as few have at
    any moment, is it asked what they rest on; always as many queries."""
    held = Result.objects.filter(study__in=studies, superseded_at=None)
    changed = Q(study__results_for=None) | Q(study__results_for__lt=F("study__changed_at"))
    doubtful = list(held.filter(changed).select_related("study"))
    bases = bases_of({one.study_id: one.study for one in doubtful}.values())
    return held.exclude(pk__in=[one.pk for one in doubtful if one.basis != bases[one.study_id]])


def result_for(site: Site, public_id: UUID) -> Result | None:
    found = Result.objects.select_related("study", "site").filter(site=site, study__withdrawn=False)
    result = found.filter(public_id=public_id).first()
    return result if result is not None and result in results_of(result.study) else None


def result_by_uid(site: Site, sop_instance_uid: str) -> Result | ReportDocument | None:
    """Superseded or not; a signed report too."""
    found = Result.objects.select_related("study", "site")
    result = found.filter(site=site, SOPInstanceUID=sop_instance_uid).first()
    signed = ReportDocument.objects.select_related("site", "read__study")
    return result or signed.filter(site=site, SOPInstanceUID=sop_instance_uid).first()


def studies_due() -> QuerySet[Study]:
    """Complete, with no film under way, and changed since their results were looked at. While its identity is
    in question a study waits."""
    changed = Q(results_for=None) | Q(results_for__lt=F("changed_at"))
    ready = Q(results_retry_at=None) | Q(results_retry_at__lte=now())
    due = Study.objects.filter(changed, ready, complete_at__isnull=False).exclude(status__in=OPEN)
    return due.filter(~in_question()).order_by("changed_at")
