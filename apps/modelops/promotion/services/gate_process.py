"""Run the gate in a process of its own: scoring loads whole models and datasets, and may use all the memory.

The child writes what it finds itself, under the fence it was started with; the parent keeps the lease, ends
it after LIMIT_S, and says so where it died without a word.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import structlog
from django.conf import settings

from apps.core.errors import LynceusError
from apps.modelops.common import places
from apps.modelops.common.selectors import artefact_dir
from apps.modelops.common.services.faults import said_of
from apps.modelops.datasets.services.datasets import check_unchanged
from apps.modelops.jobs.services.jobs import LeaseLost
from apps.modelops.jobs.services.runner import child_environment, signal_group
from apps.modelops.models import GateRun, ModelVersion
from apps.modelops.promotion.services.gate import (
    claim_gate_run,
    fail_gate_run,
    finish_gate_run,
    held_gate_run,
    renew_gate_run,
    tell_progress,
)
from apps.modelops.registry import domain_named, load
from ml.common.contracts import ProgressEvent
from ml.common.gate import Contender, GateRequest

log = structlog.get_logger(__name__)
RENEW_EVERY_S = 2.0
SPEAK_EVERY_S = 0.5
LIMIT_S = 3600.0


def check_next(run_id: int | None = None) -> GateRun | None:
    """Claim one run and see it through; None if there was none to claim."""
    run = claim_gate_run(run_id)
    if run is None:
        return None
    log.info("gate_started", gate_run=run.pk, fence=run.fence)
    with places.gate_log(run.pk).open("ab") as log_file:
        child = subprocess.Popen(  # noqa: S603 - our own interpreter and command
            [sys.executable, "manage.py", "run_gate", str(run.pk), str(run.fence)],
            cwd=settings.BASE_DIR,
            env={**os.environ, **child_environment()},
            stdin=subprocess.PIPE,
            stdout=log_file,
            stderr=log_file,
            start_new_session=True,
        )
        try:
            said = _stand_by(run, child)
            fail_gate_run(run, *said)
        except LeaseLost:
            # It has said what it found, or another holds it by now.
            log.info("gate_over", gate_run=run.pk, fence=run.fence)
        finally:
            signal_group(child, signal.SIGKILL)
            child.wait()
    run.refresh_from_db()
    return run


def _stand_by(run: GateRun, child: subprocess.Popen[bytes]) -> tuple[str, str]:
    """Until it ends: what to say of a child that said nothing. Raises LeaseLost once the run is over."""
    began = time.monotonic()
    while time.monotonic() - began < LIMIT_S:
        try:
            code = child.wait(timeout=RENEW_EVERY_S)
        except subprocess.TimeoutExpired:
            renew_gate_run(run)
            continue
        return "process_died", f"The gate's process ended with code {code}; its log is kept."
    return "timed_out", f"The gate took longer than {LIMIT_S / 60:.0f} minutes."


def run_gate(run_id: int, fence: int) -> int:
    """In the child: hold candidate and champion against each other; returns the process's exit code."""
    run = held_gate_run(run_id, fence)
    try:
        report = load(domain_named(run.dataset.domain).gate)(_request(run), _Teller(run))
    except LynceusError as error:
        fail_gate_run(run, error.code, error.message)
        return 1
    except (MemoryError, OSError, ValueError, RuntimeError) as error:
        # The traceback goes to the log, not to a page.
        fail_gate_run(run, **said_of(error, code="gate_error", memory="The gate ran out of memory."))
        raise
    finish_gate_run(run, report)
    return 0


def _request(run: GateRun) -> GateRequest:
    return GateRequest(
        candidate=_contender(run.version),
        champion=_contender(run.champion) if run.champion else None,
        latency_ms=domain_named(run.dataset.domain).latency_ms,
        slower_percent=settings.LYNCEUS_GATE_SLOWER_PERCENT,
    )


def _contender(version: ModelVersion) -> Contender:
    return Contender(artefact_dir(version), version.artefact_hash, check_unchanged(version.dataset))


class _Teller:
    """The gate's callback: speaks at most twice a second, but never swallows a phase."""

    def __init__(self, run: GateRun) -> None:
        self.run, self.phase, self.spoke_at = run, "", 0.0

    def __call__(self, event: ProgressEvent) -> None:
        current = time.monotonic()
        if event.phase != self.phase or current - self.spoke_at >= SPEAK_EVERY_S:
            self.phase, self.spoke_at = event.phase, current
            tell_progress(self.run, event.as_json())
