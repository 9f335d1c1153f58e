"""Ask rules of history in the background: slice after slice, each kept before the next is read.

A bell works for some seconds and rings the next one, so that one worker has time for others too; a slice
counts once whoever works on it, because it is kept only where the one before it was the last.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import structlog
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F, QuerySet

from apps.accounts.models import Site, User
from apps.audit.services import record
from apps.core.bell import ring
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.fraud.backtests.backtest import Tally, Tested, names_of, tally, tested
from apps.fraud.backtests.services.columns import read_slice
from apps.fraud.models import Backtest, BacktestState, Decision
from apps.fraud.rules.expressions import Fault
from apps.fraud.rules.services.rulesets import revision_locked

log = structlog.get_logger(__name__)
TASK = "fraud.run_backtest"
STEP = 50_000  # keys of decisions
ROUND_S = 15.0
SILENT = timedelta(seconds=60)
RUNNING_MAX = 3
DAYS_MAX = 3650


@transaction.atomic
def start_backtest(
    *, site: Site, by: User, rules: Sequence[Mapping[str, Any]], version: int | None, days: int
) -> Backtest:
    """Of the last `days` days. The rules must have been checked. LynceusError 409 while too many run."""
    revision_locked(site)
    if backtests_running(site).count() >= RUNNING_MAX:
        raise LynceusError(
            "too_many_backtests", f"{RUNNING_MAX} are running: wait for one or cancel one.", status=409
        )
    at = now()
    since = Decision.objects.filter(decided_at__gte=at - timedelta(days=days)).order_by("decided_at", "pk")
    first, last = since.values_list("pk").first(), Decision.objects.order_by("-pk").values_list("pk").first()
    before, upto = (first[0] - 1, last[0]) if first and last else (0, 0)
    backtest = Backtest.objects.create(
        site=site, rules=list(rules), version=version, days=days, by=by, asked_at=at, first_id=before,
        at_id=before, last_id=upto, tally=Tally.empty(len(rules)).as_json(), moved_at=at,
        state=BacktestState.RUNNING if upto else BacktestState.DONE,
    )  # fmt: skip
    detail = {"rules": len(rules), "version": version, "days": days}
    record("rules.backtested", site=site, actor=by, subject=f"backtest:{backtest.pk}", detail=detail)
    if upto:
        ring(TASK, backtest.pk)
    return backtest


def backtests_running(site: Site) -> QuerySet[Backtest]:
    return Backtest.objects.filter(site=site, state=BacktestState.RUNNING)


@transaction.atomic
def cancel_backtest(*, backtest: Backtest, by: User) -> None:
    """What was summed up stays. LynceusError 409 for one that has ended."""
    running = Backtest.objects.filter(pk=backtest.pk, state=BacktestState.RUNNING)
    if not running.update(state=BacktestState.CANCELLED, moved_at=now()):
        raise LynceusError("backtest_ended", "It has ended already.", status=409)
    record("rules.backtest_cancelled", site=backtest.site, actor=by, subject=f"backtest:{backtest.pk}")


def run_backtest(pk: int) -> None:
    """Some seconds of it; the rest is rung for."""
    end = time.monotonic() + ROUND_S
    backtest = Backtest.objects.select_related("site").get(pk=pk)
    try:
        rules = tested(backtest.rules)
        while backtest.state == BacktestState.RUNNING:
            if time.monotonic() > end:
                ring(TASK, pk)
                return
            if not _advance(backtest, rules):
                return  # cancelled, or somebody else works on it
    except (OperationalError, InterfaceError):
        raise  # the sweeper rings again
    except Fault as fault:
        _fail(backtest, f"A rule can no longer be said: {fault.message}")
    except Exception as error:
        log.exception("backtest_failed", backtest=pk, error=type(error).__name__)
        _fail(backtest, f"It could not be worked out: {type(error).__name__}.")


def _advance(backtest: Backtest, rules: Sequence[Tested]) -> bool:
    """One slice further; False where the row has moved meanwhile, and then nothing is kept."""
    begun, before = time.perf_counter(), backtest.at_id
    upto = min(before + STEP, backtest.last_id)
    found = read_slice(backtest.site, before, upto, names_of(rules))
    sums = (Tally.from_json(backtest.tally, len(rules)) + tally(found, rules)).as_json()
    state = BacktestState.DONE if upto == backtest.last_id else BacktestState.RUNNING
    took = time.perf_counter() - begun
    waiting = Backtest.objects.filter(pk=backtest.pk, state=BacktestState.RUNNING, at_id=before)
    kept = waiting.update(at_id=upto, tally=sums, state=state, seconds=F("seconds") + took, moved_at=now())
    backtest.at_id, backtest.tally, backtest.state = upto, sums, state
    return kept == 1


def _fail(backtest: Backtest, fault: str) -> None:
    running = Backtest.objects.filter(pk=backtest.pk, state=BacktestState.RUNNING)
    running.update(state=BacktestState.FAILED, fault=fault[:100], moved_at=now())


def ring_stalled() -> int:
    """For the sweeper: those nobody has moved for a while, each once in that while."""
    stalled = Backtest.objects.filter(state=BacktestState.RUNNING, moved_at__lt=now() - SILENT)
    pks = list(stalled.order_by("pk").values_list("pk", flat=True)[:10])
    Backtest.objects.filter(pk__in=pks).update(moved_at=now())
    for pk in pks:
        ring(TASK, pk)
    return len(pks)
