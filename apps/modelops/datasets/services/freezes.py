"""Freeze a dataset in the background: asked for on a page, worked by a task, told of by its row."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from datetime import timedelta

import structlog
from django.db import IntegrityError, InterfaceError, OperationalError, transaction
from django.db.models import F, Q, QuerySet

from apps.accounts.models import Site, User
from apps.audit.services import record
from apps.core.bell import ring
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.modelops.datasets.services.datasets import new_dataset_folder, told_of_base
from apps.modelops.models import DatasetSnapshot, Freeze
from apps.modelops.registry import Domain, domain_named, load

log = structlog.get_logger(__name__)
TASK = "modelops.freeze_dataset"
RING_AGAIN = timedelta(minutes=1)
SILENT = timedelta(minutes=10)  # hashing a large set says nothing for minutes
TRIES_MAX = 3
TELL_EVERY_S = 1.0


class Overtaken(Exception):
    """Another worker works on it by now."""


def request_freeze(
    *, site: Site, domain: Domain, name: str, includes: Collection[str], by: User,
    base: DatasetSnapshot | None = None,
) -> Freeze:  # fmt: skip
    """`base`: a dataset brought along, whose examples come too. Raises LynceusError for a bad or taken name,
    for nothing to include, and while another one runs."""
    new_dataset_folder(site, domain.name, name)
    if not domain.exporter:
        raise LynceusError("no_exporter", f"{domain.name} datasets are frozen on the server.", status=422)
    if not includes or not {one.name for one in domain.includes}.issuperset(includes):
        raise LynceusError("invalid_include", "Choose what the dataset is to hold.", status=422)
    at = now()
    try:
        with transaction.atomic():
            freeze = Freeze.objects.create(
                site=site, domain=domain.name, name=name, includes=sorted(includes), base=base, by=by,
                asked_at=at, moved_at=at,
            )  # fmt: skip
            detail = {"domain": domain.name, "name": name, "includes": sorted(includes), **told_of_base(base)}
            record("dataset.asked", site=site, actor=by, subject=f"freeze:{freeze.pk}", detail=detail)
            ring(TASK, freeze.pk)
    except IntegrityError as error:
        raise LynceusError(
            "freeze_running", "A dataset of this domain is being frozen: wait for it.", status=409
        ) from error
    return freeze


def run_freeze(pk: int) -> None:
    """All of it. What cannot be frozen is said in the row; a lost database is left to the sweeper."""
    freeze = _claim(pk)
    if freeze is None:
        return
    try:
        dataset = _made(freeze) or load(domain_named(freeze.domain).exporter)(
            freeze.site, freeze.name, frozenset(freeze.includes), freeze.by, _teller(freeze), freeze.base
        )
    except (OperationalError, InterfaceError, Overtaken):
        raise
    except LynceusError as error:
        _end(freeze, Freeze.State.FAILED, fault=error.message)
    except ValueError as error:
        _end(freeze, Freeze.State.FAILED, fault=str(error))
    except OSError as error:
        _end(
            freeze, Freeze.State.FAILED, fault=f"The disk refused: {error.strerror or type(error).__name__}."
        )
    except Exception as error:
        log.exception("freeze_failed", freeze=pk, error=type(error).__name__)
        _end(freeze, Freeze.State.FAILED, fault=f"It could not be frozen: {type(error).__name__}.")
    else:
        _end(freeze, Freeze.State.DONE, dataset=dataset)


def ring_stalled_freezes() -> int:
    """For the sweeper: those nobody took, once a minute, and those whose worker says nothing for long."""
    stalled = list(_claimable().filter(moved_at__lt=now() - RING_AGAIN).values_list("pk", flat=True))
    Freeze.objects.filter(pk__in=stalled, state=Freeze.State.WAITING).update(moved_at=now())
    for pk in stalled:
        ring(TASK, pk)
    return len(stalled)


def _claimable() -> QuerySet[Freeze]:
    silent = Q(state=Freeze.State.RUNNING, moved_at__lt=now() - SILENT)
    return Freeze.objects.filter(Q(state=Freeze.State.WAITING) | silent)


def _claim(pk: int) -> Freeze | None:
    claimed = _claimable().filter(pk=pk).update(
        state=Freeze.State.RUNNING, tries=F("tries") + 1, moved_at=now(), done=0, total=0
    )  # fmt: skip
    if not claimed:
        return None
    freeze = Freeze.objects.select_related("site", "by", "base__site").get(pk=pk)
    if freeze.tries > TRIES_MAX:
        _end(freeze, Freeze.State.FAILED, fault=f"Its worker died {TRIES_MAX} times.")
        return None
    return freeze


def _made(freeze: Freeze) -> DatasetSnapshot | None:
    """By an earlier try that died before it said so: the name was free when it was asked for."""
    return DatasetSnapshot.objects.filter(site=freeze.site, domain=freeze.domain, name=freeze.name).first()


def _teller(freeze: Freeze) -> Callable[[int, int], None]:
    """Writes how far it is, now and then. Raises Overtaken where the row is another worker's by now."""
    told = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal told
        if time.monotonic() - told < TELL_EVERY_S:
            return
        told = time.monotonic()
        if not _mine(freeze).update(done=done, total=total, moved_at=now()):
            raise Overtaken

    return tell


def _mine(freeze: Freeze) -> QuerySet[Freeze]:
    return Freeze.objects.filter(pk=freeze.pk, tries=freeze.tries, state=Freeze.State.RUNNING)


def _end(freeze: Freeze, state: str, *, fault: str = "", dataset: DatasetSnapshot | None = None) -> None:
    _mine(freeze).update(state=state, fault=fault[:300], dataset=dataset, moved_at=now())
