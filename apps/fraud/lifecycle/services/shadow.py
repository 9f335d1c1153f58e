"""Put a version in shadow, beside the one that decides, and end that."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Exists, Max, OuterRef

from apps.accounts.models import Site, User
from apps.core.bell import ring
from apps.core.clock import now
from apps.fraud.lifecycle.shadow import behind, open_run
from apps.fraud.models import SHARDS, Decision, ShadowCursor, ShadowMemory, ShadowRun
from apps.modelops.models import ModelVersion, RunEnd
from apps.modelops.promotion.services.shadow import end_run, run_going_on

TASK = "fraud.follow_decisions"
CHUNK = 5_000


@transaction.atomic
def start_shadow(version: ModelVersion, *, by: User, site: Site) -> ShadowRun:
    """It follows every decision made from now on, of all sites; the run it has where it is in shadow already.

    LynceusError as `put_in_shadow`.
    """
    if going_on := run_going_on(ShadowRun.objects.all(), version, by=by, site=site):
        return going_on
    last = Decision.objects.aggregate(last=Max("pk"))["last"] or 0
    run = ShadowRun.objects.create(version=version, after_decision=last, started_by=by, started_at=now())
    ShadowCursor.objects.bulk_create(
        ShadowCursor(run=run, shard=shard, through=last, seen=last) for shard in range(SHARDS)
    )
    ring(TASK)
    return run


@transaction.atomic
def end_shadow(run: ShadowRun, end: RunEnd, *, by: User | None, site: Site) -> bool:
    """False where it was over already. What it said stays; what its network remembers goes soon after."""
    ended = end_run(ShadowRun.objects.all(), run, end, by=by, site=site)
    ring(TASK)
    return ended


def forget_memories() -> int:
    """Delete what networks remember whose runs are over, some thousands a transaction; returns how many."""
    total = 0
    while True:
        left = ShadowMemory.objects.filter(run__in=_over()).order_by("pk")
        ids = list(left.values_list("pk", flat=True)[:CHUNK])
        ShadowMemory.objects.filter(pk__in=ids).delete()
        total += len(ids)
        if len(ids) < CHUNK:
            return total


def _over() -> list[int]:
    """Runs that are over and of which a network still remembers something."""
    some = Exists(ShadowMemory.objects.filter(run=OuterRef("pk")))
    runs = ShadowRun.objects.filter(some, ended_at__isnull=False).order_by("pk")
    return list(runs.values_list("pk", flat=True))


def ring_shadow() -> int:
    """For the sweeper: ring once where there is something to follow or to forget. The deciding itself rings
    for nobody: it has no more to do with a version in shadow than without."""
    run = open_run()
    if not (run and behind(run).exists()) and not _over():
        return 0
    ring(TASK)
    return 1
