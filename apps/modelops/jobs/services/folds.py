"""Judge one configuration by folds: a job for each, every one learning from the training part alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from apps.accounts.models import User
from apps.audit.services import record
from apps.core.errors import LynceusError
from apps.modelops.jobs.services.control import request_cancel
from apps.modelops.jobs.services.jobs import request_training, wanted_params
from apps.modelops.models import CrossValidation, DatasetSnapshot, TrainingJob
from apps.modelops.registry import domain_named

FOLDS_MIN, FOLDS_MAX = 2, 10
SEEDS = 2**31


@transaction.atomic
def request_folds(
    *,
    dataset: DatasetSnapshot,
    folds: int,
    preset: str,
    params: Mapping[str, Any] | None = None,
    seed: int = 0,
    device: str = TrainingJob.Device.AUTO,
    by: User | None = None,
    ring_worker: bool = True,
) -> CrossValidation:
    """Queue all of it. The folds are dealt by `seed`; each job learns with one of its own, derived from it.

    Raises LynceusError as `request_training` does, and for a number of folds that is not to be had.
    """
    if not domain_named(dataset.domain).fold_trainer:
        raise LynceusError("no_folds", "This domain has no cross-validation.", status=422)
    if not FOLDS_MIN <= folds <= FOLDS_MAX:
        raise LynceusError("invalid_folds", f"Ask for {FOLDS_MIN} to {FOLDS_MAX} folds.", status=422)
    crossed = CrossValidation.objects.create(
        site=dataset.site, dataset=dataset, preset=preset, seed=seed, folds=folds, requested_by=by,
        params=wanted_params(dataset.domain, preset, params or {}),
    )  # fmt: skip
    detail = {"dataset": dataset.pk, "folds": folds}
    record("training.folds_requested", site=dataset.site, actor=by, subject=_subject(crossed), detail=detail)
    for number in range(1, folds + 1):
        request_training(
            dataset=dataset, preset=preset, params=params, seed=(seed + number) % SEEDS, device=device, by=by,
            ring_worker=ring_worker, fold_of=(crossed, number),
        )  # fmt: skip
    return crossed


@transaction.atomic
def cancel_folds(crossed: CrossValidation, *, by: User | None) -> bool:
    """Cancel each of its jobs that is not over; False if all were."""
    told = [request_cancel(job, by=by) for job in crossed.jobs.order_by("fold")]
    if any(told):
        record("training.folds_cancel_requested", site=crossed.site, actor=by, subject=_subject(crossed))
    return any(told)


def _subject(crossed: CrossValidation) -> str:
    return f"cross_validation:{crossed.pk}"
