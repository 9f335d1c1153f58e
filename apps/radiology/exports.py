"""Reads: exports, the films of one that wait for a person, and what radiologists said of the films."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.db.models import Count, Q, QuerySet

from apps.accounts.models import Site
from apps.radiology.models import SIGNED, Export, ExportFilm, Exposure, FilmState, Mark, Read, Study, Verdict

LIST_MAX = 100
BLIND = (Exposure.NONE, Exposure.RANK)


def exports_at(site: Site) -> QuerySet[Export]:
    """The latest first, each with the number of `n_films` and of those that are `held`."""
    held = Count("films", filter=Q(films__state=FilmState.HELD))
    found = Export.objects.filter(site=site).select_related("asked_by")
    return found.annotate(n_films=Count("films"), held=held).order_by("-pk")[:LIST_MAX]


def export_for(site: Site, public_id: UUID) -> Export | None:
    return Export.objects.select_related("site", "asked_by").filter(site=site, public_id=public_id).first()


def films_of(export: Export) -> QuerySet[ExportFilm]:
    films = export.films.select_related("instance__study", "instance__site", "decided_by")
    return films.order_by("pk")


def archive_path(export: Export) -> Path:
    return Path(settings.VAR_DIR) / "exports" / str(export.site_id) / f"{export.public_id}.tar"


def labelled_studies(site: Site) -> QuerySet[Study]:
    """Those with a signed read that was committed before the model's answer could be known."""
    reads = Read.objects.filter(state__in=SIGNED, ai_exposure__in=BLIND, study__site=site)
    found = Study.objects.filter(pk__in=reads.values("study"), withdrawn=False, is_prior=False)
    return found.order_by("pk")


def labels_of(study: Study) -> dict[str, str]:
    """By finding 1, 0 or blank, as it was marked before the reveal; of several readers who differ, blank."""
    marks = Mark.objects.filter(
        read__study=study, read__state__in=SIGNED, read__ai_exposure__in=BLIND, after_reveal=False
    )
    last: dict[tuple[int, str], str] = {}
    for mark in marks.order_by("pk"):
        last[mark.read_id, mark.label] = {Verdict.PRESENT: "1", Verdict.ABSENT: "0"}.get(
            Verdict(mark.verdict) if mark.verdict else Verdict.UNSURE, ""
        )
    said: dict[str, set[str]] = {}
    for (_, label), value in last.items():
        said.setdefault(label, set()).add(value)
    return {label: values.pop() if len(values) == 1 else "" for label, values in said.items()}
