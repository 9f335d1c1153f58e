"""Which worker has which film: it claims it, and says from time to time that it still is at it."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import timedelta

from django.db import transaction
from django.db.models import F, Q, QuerySet

from apps.core.bell import ring
from apps.core.clock import now
from apps.core.node import node_name
from apps.modelops.common.selectors import champion
from apps.radiology.models import NOT_REJECTED, OPEN, Instance, Status
from apps.radiology.studies.services.studies import TASK, under_way

# A worker says so again every RENEW_S. What it does in between takes some seconds at most: decoding goes on
# beside it, within a limit of its own.
LEASE = timedelta(seconds=60)
RENEW_S = 15.0
RING_AFTER = timedelta(seconds=5)
RING_AGAIN = timedelta(minutes=5)  # a long queue, or no worker at all, must not fill the broker with bells
BELLS_MAX = 200
NODE_MAX = 80
NO_MODEL = {
    "no_model": "Waits: no model is in service yet.",
    "model_unreadable": "Waits: the model in service cannot be loaded.",
}


def anything_open() -> bool:
    return Instance.objects.filter(NOT_REJECTED, status__in=OPEN).exists()


def claim(pk: int) -> Instance | None:
    """Of two workers with the same bell one gets the instance."""
    taken = _take(Instance.objects.filter(_free(), NOT_REJECTED, pk=pk).select_for_update(of=("self",)))
    return taken[0] if taken else None


def claim_waiting(limit: int, *, with_model: bool) -> list[Instance]:
    """The oldest that nobody has tried yet; those that wait for a model only `with_model`.

    One that was tried before may be what the worker died of: it is taken alone, by its own bell.
    """
    codes = ["", *NO_MODEL] if with_model else [""]
    fresh = Instance.objects.filter(NOT_REJECTED, status=Status.RECEIVED, attempts=0, reason_code__in=codes)
    oldest = fresh.order_by("received_at", "pk").select_for_update(skip_locked=True, of=("self",))
    return _take(oldest[:limit])


def renew(held: Collection[Instance]) -> None:
    """The worker still is at them."""
    Instance.objects.filter(
        pk__in=[one.pk for one in held], status=Status.ANALYSING, held_by__in={one.held_by for one in held}
    ).update(lease_expires_at=now() + LEASE)


def take_over() -> int:
    """What a worker of this one's name held when it died is free at once. Returns how many bells it rang."""
    left = Instance.objects.filter(status=Status.ANALYSING, held_by__startswith=f"{_node()}/")
    pks = list(left.values_list("pk", flat=True))
    left.filter(pk__in=pks).update(lease_expires_at=now() - timedelta(seconds=1))
    for pk in pks:
        ring(TASK, pk)
    return len(pks)


def overdue() -> QuerySet[Instance]:
    """Received a while ago, or held by a worker that died. Those that wait for a model wait for one."""
    late = Q(status=Status.RECEIVED, received_at__lt=now() - RING_AFTER)
    if champion("radiology") is None:
        late &= ~Q(reason_code="no_model")
    dead = Q(status=Status.ANALYSING, lease_expires_at__lt=now())
    quiet = Q(rung_at=None) | Q(rung_at__lt=now() - RING_AGAIN)
    return Instance.objects.filter(late | dead, quiet, NOT_REJECTED, status__in=OPEN).order_by("received_at")


def ring_overdue() -> int:
    due = list(overdue().values_list("pk", flat=True)[:BELLS_MAX])
    Instance.objects.filter(pk__in=due).update(rung_at=now())
    for pk in due:
        ring(TASK, pk)
    return len(due)


def _free() -> Q:
    return Q(status=Status.RECEIVED) | Q(status=Status.ANALYSING, lease_expires_at__lt=now())


@transaction.atomic
def _take(chosen: QuerySet[Instance]) -> list[Instance]:
    taken = list(chosen.select_related("site", "study"))
    if not taken:
        return []
    # Another one with each claim, so that a worker which comes back too late changes nothing.
    held_by, until = f"{_node()}/{uuid.uuid4().hex[:12]}", now() + LEASE
    Instance.objects.filter(pk__in=[one.pk for one in taken]).update(
        status=Status.ANALYSING, attempts=F("attempts") + 1, held_by=held_by, lease_expires_at=until
    )
    for one in taken:
        one.status, one.held_by, one.lease_expires_at = Status.ANALYSING, held_by, until
        one.attempts += 1
    under_way({one.study_id for one in taken})
    return taken


def _node() -> str:
    return node_name()[:NODE_MAX]
