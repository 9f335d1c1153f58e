"""Train anew by itself: for new labels, for an alarm, by the calendar. What comes of it is a candidate.

The sweeper looks at each policy once a minute, under the lock of its row. A reason is a row with a key that
exists once; it is held back while something is in its way, then a dataset is frozen and, at a later look, a
job queued. Both are asked for as a person asks for them on the pages.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.db.models import Q

from apps.accounts.models import Role, Site, User
from apps.audit.services import record
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.core.words import counted
from apps.modelops.common.selectors import OPEN
from apps.modelops.datasets.news import base_in_service
from apps.modelops.datasets.services.freezes import request_freeze
from apps.modelops.jobs.services.jobs import request_training
from apps.modelops.models import DatasetSnapshot, Freeze, Retraining, RetrainingPolicy, TrainingJob
from apps.modelops.registry import domain_named
from apps.modelops.retraining import retraining_reasons as reasons

log = structlog.get_logger(__name__)
LOOK_EVERY = timedelta(minutes=1)
State = Retraining.State


def look_at_policies() -> int:
    """For the sweeper: how many policies it looked at. One that fails keeps no other from its turn."""
    due = RetrainingPolicy.objects.filter(Q(looked_at=None) | Q(looked_at__lte=now() - LOOK_EVERY))
    looked = 0
    for pk in due.order_by("pk").values_list("pk", flat=True):
        try:
            looked += look_at(pk)
        except Exception as error:
            log.exception("retraining_failed", policy=pk, error=type(error).__name__)
            RetrainingPolicy.objects.filter(pk=pk).update(looked_at=now())
    return looked


@transaction.atomic
def look_at(pk: int) -> bool:
    """Take one policy as far as it goes now; False where another sweeper just did."""
    policy = RetrainingPolicy.objects.select_for_update(of=("self",)).select_related("site", "by").get(pk=pk)
    if policy.looked_at is not None and policy.looked_at > now() - LOOK_EVERY:
        return False
    _looked(policy)
    under_way = policy.retrainings.filter(state=State.FREEZING).select_related("freeze__dataset").first()
    if under_way is not None:
        _go_on(policy, under_way)
        if under_way.state == State.FREEZING:
            return True  # what it freezes is no new label any more, but nobody can tell before it is frozen
    held = policy.retrainings.filter(state=State.HELD)
    if not policy.enabled:
        held.update(state=State.SKIPPED, says="The policy was switched off.")
        return True
    for gone, says in reasons.outdated(policy):
        gone.update(state=State.SKIPPED, says=says)
    _note(policy)
    first = held.order_by("at", "pk").first()
    if first is not None:
        _start(policy, first)
    return True


def _looked(policy: RetrainingPolicy) -> None:
    RetrainingPolicy.objects.filter(pk=policy.pk).update(looked_at=now())


def _note(policy: RetrainingPolicy) -> None:
    """What is due now and was not before; of what is held back already, one of its kind is enough."""
    waiting = set(policy.retrainings.filter(state=State.HELD).values_list("reason", flat=True))
    for found in reasons.due(policy):
        if found.reason not in waiting:
            Retraining.objects.get_or_create(
                policy=policy, key=found.key,
                defaults={"reason": found.reason, "sentence": found.sentence[:300], "at": now()},
            )  # fmt: skip


def why_not_now(policy: RetrainingPolicy) -> str:
    """What is in the way of a start, as a sentence; empty where nothing is."""
    if not (policy.by.is_active and (policy.by.role == Role.ML_ADMIN or policy.by.is_superuser)):
        return "Who set the policy is no ML administrator any more: somebody else has to set it."
    if job := _job_under_way(policy.site, policy.domain):
        return f"Job {job.pk} of this domain waits or runs."
    if Freeze.objects.filter(
        site=policy.site, domain=policy.domain, state__in=(Freeze.State.WAITING, Freeze.State.RUNNING)
    ).exists():
        return "A dataset of this domain is being frozen."
    last = last_start(policy)
    if last is not None and (free := last + timedelta(days=policy.min_days)) > now():
        there = free.astimezone(reasons.zone_of(policy.site))
        apart = counted(policy.min_days, "day")
        return f"Two starts are {apart} apart at least: not before {there:%Y-%m-%d %H:%M}."
    return ""


def last_start(policy: RetrainingPolicy) -> datetime | None:
    began = policy.retrainings.exclude(began_at=None).order_by("-began_at").first()
    return began.began_at if began else None


def _start(policy: RetrainingPolicy, held: Retraining) -> None:
    """Ask for the dataset, or say what is in the way. Whatever else was held back is answered by it too."""
    others = policy.retrainings.filter(state=State.HELD)
    if says := why_not_now(policy):
        others.update(says=says[:300])
        return
    try:
        with transaction.atomic():
            freeze = request_freeze(
                site=policy.site, domain=domain_named(policy.domain), name=_free_name(policy),
                includes=policy.includes, by=policy.by, base=base_in_service(policy.site, policy.domain),
            )  # fmt: skip
    except LynceusError as error:
        if error.status == 409:  # somebody was quicker: it is tried again
            others.update(says=error.message[:300])
            return
        _set(held, State.FAILED, error.message)
        _record("retraining.failed", policy, held)
        return
    held.freeze, held.began_at = freeze, now()
    _set(held, State.FREEZING, "")
    others.update(state=State.SKIPPED, says=f"Answered by what was started for: {held.sentence}"[:300])
    _record("retraining.started", policy, held)


def _go_on(policy: RetrainingPolicy, retraining: Retraining) -> None:
    """From its dataset to its job, once the one is there and nobody else's job of the domain is under way."""
    freeze = retraining.freeze
    if freeze is None or freeze.is_open:
        return
    if freeze.dataset is None:
        _set(retraining, State.FAILED, freeze.fault)
        _record("retraining.failed", policy, retraining)
        return
    if job := _job_under_way(policy.site, policy.domain):
        _set(retraining, State.FREEZING, f"Frozen; job {job.pk} of this domain is waited for.")
        return
    try:
        with transaction.atomic():
            retraining.job = request_training(dataset=freeze.dataset, preset=policy.preset, by=policy.by)
    except LynceusError as error:
        _set(retraining, State.FAILED, error.message)
        _record("retraining.failed", policy, retraining)
        return
    _set(retraining, State.STARTED, "")
    _record("retraining.queued", policy, retraining)


def _job_under_way(site: Site, domain: str) -> TrainingJob | None:
    return TrainingJob.objects.filter(site=site, domain=domain, status__in=OPEN).order_by("pk").first()


def _free_name(policy: RetrainingPolicy) -> str:
    name = f"retrain-{now().astimezone(reasons.zone_of(policy.site)):%Y-%m-%d}"
    taken = set(
        DatasetSnapshot.objects.filter(
            site=policy.site, domain=policy.domain, name__startswith=name
        ).values_list("name", flat=True)
    )
    return next(
        one for n in range(1, len(taken) + 2) if (one := name if n == 1 else f"{name}-{n}") not in taken
    )


def _set(retraining: Retraining, state: Retraining.State, says: str) -> None:
    retraining.state, retraining.says = state, says[:300]
    retraining.save(update_fields=["state", "says", "freeze", "job", "began_at"])


def _record(action: str, policy: RetrainingPolicy, retraining: Retraining) -> None:
    """By nobody: in the name of whoever set the policy, which the detail names."""
    record(
        action, site=policy.site, actor=None, subject=f"retraining:{retraining.pk}",
        detail={
            "domain": policy.domain, "reason": retraining.key, "policy_by": policy.by_id,
            "freeze": retraining.freeze_id, "job": retraining.job_id,
        },
    )  # fmt: skip


@transaction.atomic
def set_policy(policy: RetrainingPolicy, *, by: User) -> None:
    """Keep it as it now is. What fell due before this moment is no reason for it."""
    policy.by, policy.at, policy.looked_at = by, now(), None
    policy.save()
    told = ("enabled", "labels_min", "alarms", "calendar", "weekday", "day", "hour", "preset", "includes")
    detail = {name: getattr(policy, name) for name in (*told, "min_days")}
    record(
        "retraining.policy_set", site=policy.site, actor=by, subject=f"domain:{policy.domain}", detail=detail
    )
