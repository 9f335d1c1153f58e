"""Films from their files to their findings: decoded beside each other, judged and stored together."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import dataclass

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError

from apps.modelops.watch.services.costs import spent_on
from apps.radiology.analysis.inference import NoAnswer, admits, current_champion, predict
from apps.radiology.analysis.services.claims import (
    NO_MODEL,
    RENEW_S,
    anything_open,
    claim,
    claim_waiting,
    renew,
    take_over,
)
from apps.radiology.analysis.services.outcomes import Outcome, finish
from apps.radiology.common.decoding import reduce_apart, start_decoders
from apps.radiology.common.limits import file_limits
from apps.radiology.common.store import clear_incoming, film_path, write_picture
from apps.radiology.exchange.services.priors import NOT_ANALYSED as PRIOR
from apps.radiology.models import Instance, ReadingPolicy, Status
from ml.radiology.contracts import DicomRefused, InstanceHeader, SmallFilm
from ml.radiology.dicom import gate, read_header

log = structlog.get_logger(__name__)
ATTEMPTS_MAX = 5
HALF_RECEIVED_S = 24 * 3600.0
BATCH = 16  # films through the network, and stored, together
PATIENCE_S = 1.0  # a film that is decoded waits no longer for others
BELL_S = 10.0  # then the worker answers who asks whether it lives; other bells go on with what is left
# The database's trouble: no film is to blame, and the sweeper rings again.
NOT_THE_FILM = (OperationalError, InterfaceError)


@dataclass(frozen=True, slots=True)
class Ready:
    """A film that the network may see, if the patient is one the model was validated on."""

    instance: Instance
    film: SmallFilm
    header: InstanceHeader


def begin() -> None:
    """What a worker does before its first bell."""
    take_over()
    start_decoders()
    current_champion()


def analyse_instance(pk: int) -> None:
    """Answer a film's bell: analyse it, and what else waits, the oldest first.

    Does nothing to it where another worker holds it or it is done. One that was tried before may be what a
    worker died of, so nothing else is claimed beside it.
    """
    if not anything_open():
        return  # most bells of a long queue: what they ring for went along with another's
    until = time.monotonic() + BELL_S
    instance = None if _waits_in_vain(pk) else claim(pk)
    if instance is None:
        _Desk().work_off([], until)
    elif instance.attempts > ATTEMPTS_MAX:
        reason = "Not analysed: the analysis failed repeatedly."
        finish([Outcome(instance, Status.NOT_ANALYSED, "gave_up", reason)])
    elif instance.attempts > 1:
        _Desk().work_off([instance], 0.0)
    else:
        _Desk().work_off([instance], until)


class _Desk:
    """The films that one bell has the worker at."""

    def __init__(self) -> None:
        self.reading: dict[Future[Ready | Outcome], Instance] = {}
        self.read: list[Ready | Outcome] = []
        self.oldest = self.renewed = time.monotonic()  # when the first of `read` was, and the last `renew`

    def work_off(self, claimed: list[Instance], until: float) -> None:
        """These, and until then what else waits."""
        children = settings.LYNCEUS_DECODERS
        with ThreadPoolExecutor(children) as pool:
            while True:
                if len(self.reading) <= children and time.monotonic() < until:
                    model = current_champion()
                    claimed += claim_waiting(BATCH // 2, with_model=not isinstance(model, NoAnswer))
                for instance in claimed:
                    self.reading[pool.submit(copy_context().run, _read, instance)] = instance
                claimed = []
                if not self.reading and not self.read:
                    return
                self._collect()
                if self._due():
                    _judge_apart(self.read)
                    self.read = []

    def _collect(self) -> None:
        left_s = PATIENCE_S - (time.monotonic() - self.oldest) if self.read else PATIENCE_S
        done, _ = wait(self.reading, max(0.0, left_s), FIRST_COMPLETED)
        for future in done:
            instance = self.reading.pop(future)
            try:
                self.read.append(future.result())
            except Exception:  # it keeps its claim until that lapses, and is tried again
                log.exception("film_not_read", instance=instance.pk)
            if len(self.read) == 1:
                self.oldest = time.monotonic()
        if time.monotonic() - self.renewed > RENEW_S:
            renew([*self.reading.values(), *(one.instance for one in self.read)])
            self.renewed = time.monotonic()

    def _due(self) -> bool:
        waited = time.monotonic() - self.oldest >= PATIENCE_S
        return bool(self.read) and (not self.reading or len(self.read) >= BATCH or waited)


def _read(instance: Instance) -> Ready | Outcome:
    """In a thread: without the database."""
    path = film_path(instance.site, instance.file_sha256)
    try:
        reduced = reduce_apart(path)
        write_picture(instance.site, instance.file_sha256, reduced.picture)
        header = read_header(path, file_limits())
    except DicomRefused as error:
        return Outcome(instance, Status.REFUSED, error.code, error.message)
    except OSError as error:
        # No fault of the film: it stays received, and the sweeper rings for it again after a while.
        log.error("disk_failed", instance=instance.pk, error=type(error).__name__, errno=error.errno)
        reason = "Waits: the disk failed, or is nearly full."
        return Outcome(instance, Status.RECEIVED, "disk_failed", reason)
    instance.pixel_sha256, instance.has_picture = reduced.pixel_sha256, True
    verdict = gate(header)
    if not verdict.accepted:
        return Outcome(instance, Status.NOT_ANALYSED, verdict.code, verdict.reason)
    return Ready(instance, reduced.film, header)


def _judge_apart(read: Sequence[Ready | Outcome]) -> None:
    """Together, or each alone where one makes the model fail: it keeps its claim until that lapses."""
    try:
        _judge(read)
    except NOT_THE_FILM:
        raise
    except Exception:
        if len(read) > 1:
            for one in read:
                _judge_apart([one])
        else:
            log.exception("analysis_failed", instance=read[0].instance.pk)


def _judge(read: Sequence[Ready | Outcome]) -> None:
    outcomes = [one for one in read if isinstance(one, Outcome)]
    ready, priors = _without_priors([one for one in read if isinstance(one, Ready)])
    outcomes += priors
    model = current_champion() if ready else NoAnswer("no_model")
    if isinstance(model, NoAnswer):
        # They stay received: the sweeper rings again once a model serves.
        reason = NO_MODEL[model.reason]
        finish([*outcomes, *(Outcome(one.instance, Status.RECEIVED, model.reason, reason) for one in ready)])
        return
    admitted = []
    for one in ready:
        if (verdict := admits(model, one.header)).accepted:
            admitted.append(one)
        else:
            outcomes.append(Outcome(one.instance, Status.NOT_ANALYSED, verdict.code, verdict.reason))
    with spent_on(model.version_id, len(admitted)):
        answers = predict(model, [one.film for one in admitted])
    for one, answer in zip(admitted, answers, strict=True):
        verdict = answer.verdict
        if verdict.accepted:
            outcomes.append(Outcome(one.instance, Status.ANALYSED, answer=answer))
        else:
            outcomes.append(Outcome(one.instance, Status.NOT_ANALYSED, verdict.code, verdict.reason))
    finish(outcomes)


def _without_priors(ready: list[Ready]) -> tuple[list[Ready], list[Outcome]]:
    """The model does not judge what was fetched to compare with, unless the site wants it to."""
    sites = {one.instance.site_id for one in ready if one.instance.study.is_prior}
    if not sites:
        return ready, []
    wanted = ReadingPolicy.objects.filter(site__in=sites, analyses_priors=True)
    spared = sites - set(wanted.values_list("site_id", flat=True))
    mine = [one for one in ready if one.instance.study.is_prior and one.instance.site_id in spared]
    outcomes = [Outcome(one.instance, Status.NOT_ANALYSED, *PRIOR) for one in mine]
    return [one for one in ready if one not in mine], outcomes


def _waits_in_vain(pk: int) -> bool:
    """Whether it was decoded already, waits for a model, and there still is none."""
    waiting = Instance.objects.filter(pk=pk, status=Status.RECEIVED, reason_code__in=NO_MODEL)
    return waiting.exists() and isinstance(current_champion(), NoAnswer)


def clear_half_received() -> int:
    return clear_incoming(HALF_RECEIVED_S)
