"""Ask for a look at the gate, claim it, and write down what was found. Every write of a holder is fenced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, Q

from apps.accounts.models import Site, User
from apps.audit.services import record
from apps.core.bell import ring
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.core.words import counted
from apps.modelops.common.gate_selectors import claimable_gate_runs
from apps.modelops.jobs.services.jobs import LEASE, LeaseLost
from apps.modelops.models import GateRun, Model, ModelVersion
from apps.modelops.registry import domain_named
from ml.common.gate import GateReport

RING_AGAIN = timedelta(minutes=5)
CLAIMS_MAX = 3
Status = GateRun.Status


@transaction.atomic
def request_gate_run(version: ModelVersion, *, by: User | None, site: Site) -> GateRun:
    """Queue it. LynceusError 409 for what serves, while one of this version is under way, or where the domain
    has no gate."""
    if not domain_named(version.model.domain).gate:
        raise LynceusError("no_gate", "This domain has no gate.", status=409)
    if Model.objects.filter(pk=version.model_id, champion=version).exists():
        raise LynceusError("already_champion", "This version serves already.", status=409)
    try:
        with transaction.atomic():
            run = GateRun.objects.create(
                version=version, dataset=version.dataset, by=by, at=now(), rung_at=now()
            )
    except IntegrityError as error:
        raise LynceusError("gate_running", "It is being checked already.", status=409) from error
    record(
        "gate.requested", site=site, actor=by, subject=f"version:{version.pk}", detail={"gate_run": run.pk}
    )
    ring("modelops.check_at_gate")
    return run


@transaction.atomic
def claim_gate_run(run_id: int | None = None) -> GateRun | None:
    """Take the oldest that nobody holds (or this one), against who serves now; None if there is none."""
    waiting = claimable_gate_runs()
    if run_id is not None:
        waiting = waiting.filter(pk=run_id)
    for run in waiting.select_related("version__model")[:10]:
        mine = GateRun.objects.filter(pk=run.pk, fence=run.fence, status=run.status)
        if run.fence >= CLAIMS_MAX:
            mine.update(
                status=Status.FAILED, finished_at=now(), error_code="gave_up",
                error_message=f"Its process died {counted(run.fence, 'time')}: nobody takes it up again.",
            )  # fmt: skip
            continue
        # Compare-and-set: of two who read the same fence, one updates a row and the other none.
        won = mine.update(
            status=Status.RUNNING, fence=F("fence") + 1, lease_expires_at=now() + LEASE, progress={},
            champion=run.version.model.champion_id,
        )  # fmt: skip
        if won:
            return GateRun.objects.get(pk=run.pk)
    return None


def held_gate_run(run_id: int, fence: int) -> GateRun:
    """For the process that does the work. Raises LeaseLost if another holds it by now."""
    found = GateRun.objects.select_related(
        "version__model", "version__dataset__site", "dataset__site", "champion__dataset__site"
    )
    run = found.filter(pk=run_id, fence=fence, status=Status.RUNNING).first()
    if run is None:
        raise LeaseLost(f"gate run {run_id}, fence {fence}")
    return run


def renew_gate_run(run: GateRun) -> None:
    """Raises LeaseLost once it is over, or another's."""
    _fenced(run, lease_expires_at=now() + LEASE)


def tell_progress(run: GateRun, payload: Mapping[str, Any]) -> None:
    """The latest word replaces the one before."""
    _fenced(run, progress=dict(payload))


@transaction.atomic
def finish_gate_run(run: GateRun, report: GateReport) -> None:
    """A version may be promoted by this from now on, if it passed."""
    _fenced(
        run, status=Status.DONE, finished_at=now(), lease_expires_at=None, passed=report.passed, n=report.n,
        n_left_out=report.n_left_out, lines=[asdict(line) for line in report.lines],
    )  # fmt: skip
    record(
        "gate.passed" if report.passed else "gate.refused", site=run.dataset.site, actor=None,
        subject=f"version:{run.version_id}", detail={"gate_run": run.pk, "champion": run.champion_id},
    )  # fmt: skip


def fail_gate_run(run: GateRun, code: str, message: str) -> None:
    """It could not be told whether it passes."""
    _fenced(
        run, status=Status.FAILED, finished_at=now(), lease_expires_at=None,
        error_code=code[:60], error_message=message[:2000],
    )  # fmt: skip


def ring_for_waiting_gate_runs() -> int:
    """For the sweeper: one bell for each that nobody holds, once in a while."""
    at = now()
    due = claimable_gate_runs().filter(Q(rung_at__lte=at - RING_AGAIN) | Q(rung_at=None))
    rung = GateRun.objects.filter(pk__in=list(due.values_list("pk", flat=True))).update(rung_at=at)
    for _ in range(rung):
        ring("modelops.check_at_gate")
    return rung


def _fenced(run: GateRun, **fields: Any) -> None:
    mine = GateRun.objects.filter(pk=run.pk, fence=run.fence, status=Status.RUNNING)
    if not mine.update(**fields):
        raise LeaseLost(f"gate run {run.pk}, fence {run.fence}")
