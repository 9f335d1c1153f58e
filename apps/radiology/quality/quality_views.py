"""How good is it here: the page and its two charts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django import forms
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role, Site
from apps.modelops.common.selectors import champion
from apps.modelops.models import ModelVersion
from apps.radiology.quality.my_reads import committed_by, explained, where_they_went
from apps.radiology.quality.quality import (
    ALL,
    BLIND,
    ENOUGH,
    SAMPLE,
    SETTLED,
    Asked,
    compared,
    counted_to,
    findings_at,
    reliability,
    rows_by,
    sample_at,
    versions_at,
)
from apps.radiology.quality.readers import kappas, signed_studies, turnaround, waits
from ml.radiology.vocabulary import says

BASES = {
    ALL: "Reads before the reveal, settled where they differed",
    BLIND: "Reads before the reveal alone",
    SAMPLE: "Raised studies and the random sample, weighted",
    SETTLED: "Adjudicated findings alone",
}
DAYS = {"": "90 days", "30": "30 days", "365": "a year", "0": "all time"}
GROUPS = (("sex", "Sex"), ("age_band", "Age, years"), ("view", "View"))
PAGE_ROWS = 50
WHO_MAY = (Role.RADIOLOGIST, Role.ML_ADMIN)


class QualityForm(forms.Form):
    """What is not offered counts as no filter."""

    finding = forms.ChoiceField(required=False)
    basis = forms.ChoiceField(required=False, label="From", choices=list(BASES.items()))
    days = forms.ChoiceField(required=False, label="Of the last", choices=list(DAYS.items()))
    version = forms.ChoiceField(required=False)

    def __init__(self, data: Any, findings: list[str], versions: list[ModelVersion]) -> None:
        super().__init__(data)
        self.findings, self.versions = findings, versions
        offered = {"finding": [(label, says(label)) for label in findings],
                   "version": [(str(one.number), f"version {one.number}") for one in versions]}  # fmt: skip
        for name, choices in offered.items():
            self.fields[name].choices = choices  # type: ignore[attr-defined]

    def asked(self) -> Asked:
        """The newest version and the first finding where none is chosen."""
        self.is_valid()
        given = self.cleaned_data
        numbers = {str(one.number): one.pk for one in self.versions}
        return Asked(
            basis=given.get("basis") or ALL,
            days=int(given.get("days") or 90),
            finding=given.get("finding") or next(iter(self.findings), ""),
            version=numbers.get(given.get("version") or "", next(iter(numbers.values()), None)),
        )


@require_GET
@role_required(*WHO_MAY)
def quality(request: HttpRequest) -> HttpResponse:
    site = user_of(request).site
    form = _form(request, site)
    asked = form.asked()
    rows = compared(site, asked)
    of_finding = rows.filter(label=asked.finding)
    every_version = compared(site, asked, every_version=True).filter(label=asked.finding)
    by_finding = sorted(rows_by("label", rows, asked), key=lambda row: says(row.key))
    drawn, read = sample_at(site, asked)
    context = {
        "form": QualityForm(_chosen(form, asked), form.findings, form.versions),
        "asked": asked,
        "basis": BASES[asked.basis],
        "version": next((one for one in form.versions if one.pk == asked.version), None),
        "by_finding": [replace(row, title=says(row.key)) for row in by_finding],
        "groups": [(title, rows_by(by, of_finding, asked)) for by, title in GROUPS],
        "versions": [replace(row, title=f"version {row.key}")
                     for row in rows_by("version__number", every_version, asked)],
        "waits": waits(signed_studies(site, asked.since)),
        "kappas": kappas(site, asked.since),
        "drawn": drawn,
        "sample_read": read,
        "weighs": asked.basis == SAMPLE,
        "counted_to": counted_to(site),
        "enough": ENOUGH,
        "query": request.GET.urlencode(),
        "active": "quality",
    }  # fmt: skip
    return render(request, "radiology/quality.html", context)


@require_GET
@role_required(*WHO_MAY)
def reliability_curve(request: HttpRequest) -> JsonResponse:
    site = user_of(request).site
    asked = _form(request, site).asked()
    return _live(reliability(compared(site, asked).filter(label=asked.finding), asked))


@require_GET
@role_required(*WHO_MAY)
def turnaround_curve(request: HttpRequest) -> JsonResponse:
    site = user_of(request).site
    return _live(turnaround(signed_studies(site, _form(request, site).asked().since)))


@require_GET
@role_required(Role.RADIOLOGIST)
def my_reads(request: HttpRequest) -> HttpResponse:
    """Your reads in the next model."""
    user = user_of(request)
    page = Paginator(committed_by(user), PAGE_ROWS).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "reads": explained(list(page)),
        "went": where_they_went(user),
        "champion": champion("radiology"),
        "active": "quality",
    }
    return render(request, "radiology/my_reads.html", context)


def _form(request: HttpRequest, site: Site) -> QualityForm:
    return QualityForm(request.GET, findings_at(site), versions_at(site))


def _chosen(form: QualityForm, asked: Asked) -> dict[str, str]:
    """What the page shows, so that its filters say it too."""
    number = next((str(one.number) for one in form.versions if one.pk == asked.version), "")
    days = "" if asked.days == 90 else str(asked.days)
    return {"finding": asked.finding, "basis": asked.basis, "days": days, "version": number}


def _live(chart: dict[str, Any]) -> JsonResponse:
    answer = JsonResponse(chart)
    answer["Cache-Control"] = "no-store"
    return answer
