"""Ask for a de-identified copy, decide on films that may show text, and let old copies go."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

import structlog
from django.db import transaction

from apps.accounts.models import Site, User
from apps.audit.services import record
from apps.core.bell import ring
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.radiology.copies.exports import archive_path
from apps.radiology.models import (
    NOT_REJECTED,
    Export,
    ExportFilm,
    ExportState,
    FilmState,
    Instance,
    Study,
)
from apps.radiology.studies.changes import in_question

log = structlog.get_logger(__name__)
TASK = "radiology.make_exports"
FILMS_MAX = 5000
KEPT = timedelta(days=7)


@transaction.atomic
def request_export(
    site: Site,
    studies: Iterable[Study],
    *,
    project: str,
    labels: Sequence[str],
    by: User | None,
    due: timedelta = timedelta(),
) -> Export:
    """A row for the worker, of every film in use of these studies; who makes it at once says so with `due`.

    Raises LynceusError nothing_to_export, too_many_films.
    """
    wanted = Study.objects.filter(~in_question(), pk__in=[one.pk for one in studies], site=site)
    films = Instance.objects.filter(NOT_REJECTED, study__in=wanted.values("pk"), study__withdrawn=False)
    keys = list(films.order_by("study_id", "pk").values_list("pk", flat=True)[: FILMS_MAX + 1])
    if not keys:
        raise LynceusError("nothing_to_export", "There is no film to export.", status=422)
    if len(keys) > FILMS_MAX:
        raise LynceusError("too_many_films", f"At most {FILMS_MAX} films at once.", status=422)
    export = Export.objects.create(
        site=site, project=project, labels=list(labels), asked_by=by, asked_at=now(), due_at=now() + due
    )
    ExportFilm.objects.bulk_create(ExportFilm(export=export, instance_id=pk) for pk in keys)
    _record("export.asked", export, by, films=len(keys), project=project)
    ring(TASK)
    return export


@transaction.atomic
def decide_film(export: Export, instance_public_id: str, *, clean: bool, by: User) -> ExportFilm:
    """A named person looked: it shows no text, or is left out. Once none waits the copy is made.

    Raises LynceusError 409 where it does not wait for a person.
    """
    export = Export.objects.select_for_update().get(pk=export.pk)
    held = export.films.select_for_update().filter(state=FilmState.HELD)
    film = held.filter(instance__public_id=instance_public_id).first()
    if film is None or export.state != ExportState.HELD:
        raise LynceusError("not_held", "This film does not wait for a decision.", status=409)
    film.state = FilmState.CLEAN if clean else FilmState.LEFT_OUT
    film.decided_by, film.decided_at = by, now()
    film.save(update_fields=["state", "decided_by", "decided_at"])
    _record("export.film_decided", export, by, instance=film.instance_id, clean=clean)
    if not held.exists():
        export.state, export.due_at = ExportState.WAITING, now()
        export.save(update_fields=["state", "due_at"])
        ring(TASK)
    return film


def ring_exports() -> int:
    """For the sweeper: a bell for those that are due, and the end of those that were kept long enough."""
    for export in Export.objects.filter(state=ExportState.READY, made_at__lt=now() - KEPT):
        archive_path(export).unlink(missing_ok=True)
        export.state = ExportState.EXPIRED
        export.save(update_fields=["state"])
    due = Export.objects.filter(state=ExportState.WAITING, due_at__lte=now()).exists()
    if due:
        ring(TASK)
    return int(due)


def _record(action: str, export: Export, by: User | None, **detail: object) -> None:
    record(action, site=export.site, actor=by, subject=f"export:{export.pk}", detail=detail)
