"""Reads: exports, the films of one that wait for a person, and what radiologists said of the films."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.db.models import Count, Q, QuerySet

from apps.accounts.models import Site
from apps.radiology.models import SIGNED, Export, ExportFilm, FilmState, Read, Study
from apps.radiology.studies.read_labels import reads_of_studies
from ml.radiology.reader_labels import BLIND

LIST_MAX = 100


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
    """By finding 1 or 0, by the rules of ml.radiology.reader_labels; none where it is unknown."""
    labels = reads_of_studies([study.pk])[study.pk].labels
    return {label: str(int(said.present)) for label, said in labels.items()}
