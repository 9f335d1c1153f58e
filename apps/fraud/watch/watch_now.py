"""What a site decides at this moment: looked at directly, for one minute of it is never much."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

from django.db.models import Count, Min

from apps.accounts.models import Site
from apps.core.clock import now
from apps.fraud.models import TOO_OLD, Decision, LateState, Mode, Transaction, TransactionStatus

MINUTE = timedelta(minutes=1)
REMEMBERED_S = 3
NEWEST = 1000
WHY = {
    "deadline": "the model did not answer in time",
    "state_busy": "another decision held the card",
    "model_unreadable": "the model in service cannot be read",
    "model_failed": "the model failed on them",
    "no_model": "no model is in service",
}


@dataclass(frozen=True, slots=True)
class Degraded:
    """So many of the last minute were decided by less than model and history, and why."""

    n: int
    mode: str
    why: str


@dataclass(frozen=True, slots=True)
class Moment:
    """`latency_ms`: median, 95th and 99th percentile, empty where nothing was decided. `waiting` events are
    not decided yet, the oldest for `oldest_s`; of `unheard` the states do not know."""

    n: int
    degraded: tuple[Degraded, ...]
    latency_ms: tuple[float, ...]
    waiting: int
    oldest_s: float | None
    unheard: int

    @property
    def per_second(self) -> float:
        return self.n / MINUTE.total_seconds()


def moment_at(site: Site) -> Moment:
    """Looked at once in REMEMBERED_S, however many look."""
    return _moment(site.pk, int(time.monotonic() / REMEMBERED_S))


@lru_cache(maxsize=64)
def _moment(site_id: int, of: int) -> Moment:
    at = now()
    last = Decision.objects.filter(decided_at__gt=at - MINUTE, transaction__source__site=site_id)
    counted = (
        last.values_list("mode", "mode_reason").annotate(n=Count("id")).order_by("-n", "mode", "mode_reason")
    )
    kinds = list(counted)
    degraded = tuple(
        Degraded(n, str(Mode(mode).label), WHY.get(reason, reason))
        for mode, reason, n in kinds
        if mode != Mode.FULL and reason != TOO_OLD
    )
    newest = sorted(last.order_by("-decided_at").values_list("latency_ms", flat=True)[:NEWEST])
    at_q = [newest[int(q * (len(newest) - 1))] for q in (0.5, 0.95, 0.99)] if newest else []
    pending = Transaction.objects.filter(source__site=site_id, status=TransactionStatus.PENDING)
    waits = pending.aggregate(n=Count("id"), oldest=Min("received_at"))
    return Moment(
        n=sum(n for *_, n in kinds),
        degraded=degraded,
        latency_ms=tuple(at_q),
        waiting=waits["n"],
        oldest_s=(at - waits["oldest"]).total_seconds() if waits["oldest"] else None,
        unheard=LateState.objects.filter(transaction__source__site=site_id).count(),
    )
