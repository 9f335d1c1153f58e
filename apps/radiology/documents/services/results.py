"""Make a study's results once it is complete, and again when what they rest on changed. They are filed, and
given out to who asks: nobody is notified."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import structlog
from django.conf import settings
from django.db import transaction
from pydicom.uid import ComprehensiveSRStorage, ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from apps.audit.services import record
from apps.core.bell import ring
from apps.core.clock import now
from apps.radiology.common.headers import header_of
from apps.radiology.common.selectors import findings_of, findings_of_study
from apps.radiology.common.store import film_path, flush, incoming, keep, picture_path
from apps.radiology.documents.results import basis_of, latest_analyses, studies_due
from apps.radiology.documents.services.dispatches import dispatch_results
from apps.radiology.models import NOT_REJECTED, Analysis, Instance, Result, ResultKind, Study
from apps.radiology.studies.waits import offset_of
from ml.radiology.contracts import Algorithm, FindingScore, Place, ReadFilm
from ml.radiology.vocabulary import statement

log = structlog.get_logger(__name__)
TASK = "radiology.make_results"
TURN_S = 2.0  # then whatever else waits in the queue comes first
AT_ONCE = 50
RETRY = timedelta(minutes=5)
ALGORITHM = "Lynceus film model"
CLASS_OF = {ResultKind.REPORT: ComprehensiveSRStorage, ResultKind.CAPTURE: SecondaryCaptureImageStorage}


@dataclass(frozen=True, slots=True)
class _Read:
    instance: Instance
    analysis: Analysis
    film: ReadFilm


@dataclass(frozen=True, slots=True)
class _Material:
    """What a study's results are made of, as it stood at one moment."""

    study: Study
    basis: str
    films_in_study: int
    said: str
    read: list[_Read]
    previous: Result | None


@dataclass(frozen=True, slots=True)
class _Made:
    """A file in `store.incoming`, and of what it was made."""

    kind: ResultKind
    place: Place
    path: Path
    rests_on: list[_Read]


def ring_results() -> int:
    """For the sweeper: one bell for however many studies are due."""
    due = studies_due().exists()
    if due:
        ring(TASK)
    return int(due)


def make_due_results() -> None:
    """For as many studies as fit into a turn, the longest waiting first."""
    end = time.monotonic() + TURN_S
    for pk in list(studies_due().values_list("pk", flat=True)[:AT_ONCE]):
        _settle(pk)
        if time.monotonic() > end:
            ring_results()
            return


def _settle(pk: int) -> None:
    """Outside a transaction of its own while it draws and writes: films of the study may come meanwhile."""
    try:
        material = _begin(pk)
        if material is not None:
            with ExitStack() as stack:
                _finish(material, list(_make(material, stack)))
    except Exception as error:
        # Whatever is wrong with one study, the others' are made.
        log.exception("results_failed", study=pk, error=type(error).__name__)
        Study.objects.filter(pk=pk).update(results_retry_at=now() + RETRY)


@transaction.atomic
def _begin(pk: int) -> _Material | None:
    """None where those in force say what the study is, or where nothing was found that could be told."""
    study = _locked(pk)
    basis = basis_of(study)
    if _in_force(study, basis):
        _mark(study)
        return None
    analyses = latest_analyses(study)
    if not analyses:
        if _supersede(study):
            study.changed_at = now()
        _mark(study)
        return None
    used = study.instances.filter(NOT_REJECTED).select_related("study", "site")
    spoken = used.filter(pk__in=analyses).order_by("SeriesInstanceUID", "SOPInstanceUID")
    return _Material(
        study=study,
        basis=basis,
        films_in_study=used.count(),
        said=statement(findings_of_study(study)),
        read=[_read(instance, analyses[instance.pk]) for instance in spoken],
        previous=study.results.filter(kind=ResultKind.REPORT).order_by("-pk").first(),
    )


def _read(instance: Instance, analysis: Analysis) -> _Read:
    found, version = findings_of(analysis), analysis.version
    film = ReadFilm(
        header=header_of(instance),
        findings=tuple(FindingScore(f.label, f.probability, f.operating_point, f.positive) for f in found),
        algorithm=Algorithm(ALGORITHM, str(version.number), version.artefact_hash),
        overlays={f.label: bytes(f.attention) for f in found if f.positive and f.attention is not None},
    )
    return _Read(instance, analysis, film)


def _make(material: _Material, stack: ExitStack) -> Iterator[_Made]:
    # Not at the top: highdicom must not come with the URLconf.
    from ml.radiology.secondary_capture import make_capture
    from ml.radiology.structured_report import make_report

    study, at = material.study, now().astimezone(zone_of(material.study))
    place = _new_place(study, ResultKind.REPORT, new_uid())
    report = make_report(
        [one.film for one in material.read],
        statement=material.said,
        films_in_study=material.films_in_study,
        place=place,
        previous=_place_of(material.previous),
        at=at,
    )
    yield _Made(ResultKind.REPORT, place, _written(report, stack), material.read)
    series = new_uid()
    for number, one in enumerate((one for one in material.read if one.film.overlays), 1):
        place = _new_place(study, ResultKind.CAPTURE, series)
        picture = picture_path(study.site, one.instance.file_sha256).read_bytes()
        capture = make_capture(one.film, picture, place=place, number=number, at=at)
        yield _Made(ResultKind.CAPTURE, place, _written(capture, stack), [one])


@transaction.atomic
def _finish(material: _Material, made: list[_Made]) -> None:
    """Put these in the place of those in force, unless the study is another by now: then it is still due."""
    study = _locked(material.study.pk)
    if basis_of(study) != material.basis:
        return
    if _in_force(study, material.basis):  # another worker was faster
        _mark(study)
        return
    _supersede(study)
    for one in made:
        _file(study, material.basis, one)
    study.changed_at = now()  # open pages show them
    _mark(study)
    dispatch_results(study)
    detail = {"objects": [str(one.kind) for one in made]}
    record("result.made", site=study.site, actor=None, subject=f"study:{study.pk}", detail=detail)
    log.info("results_made", study=study.pk, objects=len(made))


def _file(study: Study, basis: str, made: _Made) -> None:
    content = made.path.read_bytes()
    result = Result.objects.create(
        site=study.site,
        study=study,
        instance=made.rests_on[0].instance if made.kind == ResultKind.CAPTURE else None,
        kind=made.kind,
        SOPClassUID=made.place.SOPClassUID,
        SOPInstanceUID=made.place.SOPInstanceUID,
        SeriesInstanceUID=made.place.SeriesInstanceUID,
        TransferSyntaxUID=ExplicitVRLittleEndian,
        file_sha256=hashlib.sha256(content).hexdigest(),
        file_bytes=len(content),
        basis=basis,
        made_at=now(),
    )
    result.analyses.set([one.analysis for one in made.rests_on])
    keep(made.path, film_path(study.site, result.file_sha256))


def _locked(pk: int) -> Study:
    return Study.objects.select_for_update(of=("self",)).select_related("site").get(pk=pk)


def _in_force(study: Study, basis: str) -> bool:
    return bool(study.results.filter(superseded_at=None, basis=basis).exists())


def _supersede(study: Study) -> bool:
    """Whether there were any."""
    return bool(study.results.filter(superseded_at=None).update(superseded_at=now()))


def _mark(study: Study) -> None:
    study.results_for, study.results_retry_at = study.changed_at, None
    study.save(update_fields=["changed_at", "results_for", "results_retry_at"])


def new_uid() -> str:
    return f"2.25.{uuid.uuid4().int}"


def _new_place(study: Study, kind: ResultKind, series_uid: str) -> Place:
    return Place(CLASS_OF[kind], new_uid(), series_uid, study.StudyInstanceUID)


def _place_of(result: Result | None) -> Place | None:
    if result is None:
        return None
    study_uid = result.study.StudyInstanceUID
    return Place(result.SOPClassUID, result.SOPInstanceUID, result.SeriesInstanceUID, study_uid)


def _written(content: bytes, stack: ExitStack) -> Path:
    path = stack.enter_context(incoming())
    path.write_bytes(content)
    flush(path)
    return path


def zone_of(study: Study) -> tzinfo:
    """Of the study's own times: what its films say, else the site's."""
    return offset_of(study) or ZoneInfo(study.site.time_zone or settings.TIME_ZONE)
