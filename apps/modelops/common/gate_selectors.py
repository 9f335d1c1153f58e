"""What the gate found, how often a locked part was looked at, and what waits for a second person."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from apps.accounts.models import Site
from apps.core.clock import now
from apps.modelops.models import DatasetSnapshot, GateRun, ModelVersion, PromotionRequest, TrainingJob


def latest_gate_run(version: ModelVersion) -> GateRun | None:
    found = version.gate_runs.select_related("version", "champion", "dataset", "by")
    return found.order_by("-id").first()


def claimable_gate_runs() -> QuerySet[GateRun]:
    """Queued, or running under a lease that ran out because its holder died; the oldest first."""
    dead = Q(status=GateRun.Status.RUNNING, lease_expires_at__lt=now())
    return GateRun.objects.filter(Q(status=GateRun.Status.QUEUED) | dead).order_by("id")


def work_ahead_of(run: GateRun) -> int:
    """How many jobs and gate runs of any site the training worker takes, or took, before this one: one after
    the other, as they were asked for."""
    asked_before = Q(status="queued", queued_at__lt=run.at)
    jobs = TrainingJob.objects.filter(Q(status="running") | asked_before).count()
    return jobs + GateRun.objects.filter(pk__lt=run.pk, status__in=("queued", "running")).count()


def uses_of_locked_part(dataset: DatasetSnapshot) -> int:
    """How often versions were held against its locked part: the more often, the less it proves."""
    return dataset.gate_runs.filter(n__gt=0).count()


def requests_of(version: ModelVersion) -> QuerySet[PromotionRequest]:
    """Newest first."""
    found = version.promotion_requests.select_related("asked_by", "decided_by", "gate_run")
    return found.order_by("-id")


def request_for(site: Site, request_id: int) -> PromotionRequest | None:
    """A version, and what is asked of it, belongs to the site of the data it learnt from."""
    found = PromotionRequest.objects.filter(version__dataset__site=site, pk=request_id)
    return found.select_related("version__model", "asked_by").first()


def waiting_requests(site: Site, domain: str) -> QuerySet[PromotionRequest]:
    """What waits for a second person, the oldest first."""
    found = PromotionRequest.objects.filter(
        version__dataset__site=site, version__model__domain=domain, status=PromotionRequest.Status.OPEN
    )
    return found.select_related("version", "asked_by").order_by("id")
