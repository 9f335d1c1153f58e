"""What the version in shadow says of each film that was analysed, from the same stored object."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from django.db import transaction
from django.db.models import Max

from apps.core.bell import ring
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.core.snapshot import transactions
from apps.modelops.promotion.services.shadow import move_on, settle_end
from apps.radiology.analysis.inference import Answer, Champion, admits, challenger, predict
from apps.radiology.common.decoding import reduce_apart
from apps.radiology.common.limits import file_limits
from apps.radiology.common.store import film_path
from apps.radiology.lifecycle.services.shadow import TASK, end_shadow
from apps.radiology.lifecycle.shadow import is_behind, open_run, unscored
from apps.radiology.models import Analysis, ShadowAnalysis, ShadowFinding, ShadowRun, ShadowState
from ml.radiology.contracts import DicomRefused, GateVerdict, SmallFilm
from ml.radiology.dicom import read_header

log = structlog.get_logger(__name__)
BATCH = 8
RUNG_S = 10.0  # what is left is rung for again: decisions wait for the same worker
OTHER_PIXELS = "The stored file no longer has the pixels that were analysed."


@dataclass(frozen=True, slots=True)
class Told:
    """What became of one analysis; `answer` where the version judged the film."""

    analysis: Analysis
    state: ShadowState = ShadowState.SCORED
    code: str = ""
    reason: str = ""
    answer: Answer | None = None


def follow_analyses() -> int:
    """Answer the bell: score what was analysed since, the first analysed first; returns how many.

    What a killed worker had not committed is followed again. Where several work at once they may score the
    same, which is kept once.
    """
    run = open_run()
    if run is None:
        return 0
    if (end := settle_end(run)) is not None:
        end_shadow(run, end, by=None, site=run.version.dataset.site)
        return 0
    try:
        total = _follow(run, challenger(run.version)) if is_behind(run) else 0
    except LynceusError as error:
        run.say(error.message)
        return 0
    run.say("")
    return total


def _follow(run: ShadowRun, model: Champion) -> int:
    total, until = 0, time.monotonic() + RUNG_S
    while True:
        found = follow_some(run, model)
        total += found
        if not found:
            return total
        if time.monotonic() >= until:
            ring(TASK)
            return total


def follow_some(run: ShadowRun, model: Champion) -> int:
    """Up to BATCH; the database knows nothing of it while films are decoded and judged."""
    _, oldest = transactions()
    newest = Analysis.objects.aggregate(last=Max("pk"))["last"] or 0
    rows = list(unscored(run, run.through)[:BATCH])
    up_to = rows[-1].pk if len(rows) == BATCH else newest
    return _store(run, _judged(model, rows), up_to, oldest)


def _judged(model: Champion, rows: Sequence[Analysis]) -> list[Told]:
    """Raises LynceusError where none could be judged though all were read: then no film is to blame."""
    told: list[Told] = []
    films: list[tuple[Analysis, SmallFilm]] = []
    for row in rows:
        seen = _look(model, row)
        if isinstance(seen, SmallFilm):
            films.append((row, seen))
        else:
            told.append(seen)
    answers = _answers(model, [film for _, film in films]) if films else []
    for (row, _), answer in zip(films, answers, strict=True):
        if answer is None:
            told.append(_failed(row, "model_failed", "The model fails on this film."))
        elif answer.verdict.accepted:
            told.append(Told(row, answer=answer))
        else:
            told.append(_not_its(row, answer.verdict))
    return sorted(told, key=lambda one: one.analysis.pk)


def _look(model: Champion, row: Analysis) -> SmallFilm | Told:
    """The film as it was decoded for the version in service. LynceusError where the disk fails."""
    path = film_path(row.instance.site, row.instance.file_sha256)
    try:
        reduced, header = reduce_apart(path), read_header(path, file_limits())
    except DicomRefused as error:
        return _failed(row, error.code, error.message)
    except FileNotFoundError:
        return _failed(row, "no_file", "The film's file is not there.")
    except OSError as error:
        said = "A film cannot be read: the disk failed, or is nearly full."
        raise LynceusError("disk_failed", said, status=503) from error
    if reduced.pixel_sha256 != row.pixel_sha256:
        return _failed(row, "other_pixels", OTHER_PIXELS)
    verdict = admits(model, header)
    return reduced.film if verdict.accepted else _not_its(row, verdict)


def _answers(model: Champion, films: list[SmallFilm]) -> list[Answer | None]:
    """Together, or each alone where one makes the model fail: None of that one."""
    try:
        return [*predict(model, films)]
    except Exception:
        log.exception("shadow_failed", films=len(films))
    each = [_alone(model, film) for film in films]
    if not any(each):
        raise LynceusError("model_failed", "The model fails on every film.", status=503)
    return each


def _alone(model: Champion, film: SmallFilm) -> Answer | None:
    try:
        return predict(model, [film])[0]
    except Exception:
        return None


def _failed(row: Analysis, code: str, reason: str) -> Told:
    return Told(row, ShadowState.FAILED, code, reason)


def _not_its(row: Analysis, verdict: GateVerdict) -> Told:
    return Told(row, ShadowState.NOT_ITS, verdict.code, verdict.reason)


@transaction.atomic
def _store(run: ShadowRun, told: Sequence[Told], up_to: int, oldest: int) -> int:
    """Answers and place commit together, once for an analysis and a run; nothing of it where that is over."""
    held = ShadowRun.objects.select_for_update().filter(pk=run.pk, ended_at=None).first()
    if held is None:
        return 0
    there = set(
        ShadowAnalysis.objects.filter(run=held, analysis__in=[one.analysis.pk for one in told])
        .values_list("analysis", flat=True)
        .order_by("analysis")
    )
    _keep(held, [one for one in told if one.analysis.pk not in there])
    number, _ = transactions()
    move_on(held, up_to, number, oldest)
    held.save(update_fields=["through", "seen", "fence"])
    run.through = held.through
    return len(told)


def _keep(run: ShadowRun, told: Sequence[Told]) -> None:
    at = now()
    beside = {one.analysis.pk: {said.label: said for said in one.analysis.findings.all()} for one in told}
    made = [
        ShadowAnalysis(
            run=run, analysis=one.analysis, site_id=one.analysis.instance.site_id, state=one.state,
            reason_code=one.code, reason=one.reason[:200], at=at,
            was_raised=any(said.positive for said in beside[one.analysis.pk].values()),
            raised=any(said.positive for said in one.answer.findings) if one.answer else False,
        )
        for one in told
    ]  # fmt: skip
    ShadowAnalysis.objects.bulk_create(made)
    ShadowFinding.objects.bulk_create(
        ShadowFinding(
            shadow=row, beside=beside[one.analysis.pk].get(said.label), label=said.label,
            probability=said.probability, operating_point=said.operating_point, positive=said.positive,
        )
        for row, one in zip(made, told, strict=True)
        for said in (one.answer.findings if one.answer else ())
    )  # fmt: skip
