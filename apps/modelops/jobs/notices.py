"""What the top bar tells an administrator: that a job they asked for is over, until they open its page, and
that a model in service is beyond a limit, until somebody acknowledges it."""

from __future__ import annotations

from collections.abc import Iterable

from django.urls import reverse

from apps.accounts.models import Role, User
from apps.core.words import counted
from apps.modelops.common.selectors import unseen_jobs_of
from apps.modelops.models import Alarm, TrainingJob


def notice_of_finished(user: User) -> tuple[str, str] | None:
    if user.role != Role.ML_ADMIN:
        return None
    jobs = unseen_jobs_of(user)
    if not jobs:
        return None
    first, more = jobs[0], len(jobs) - 1
    if crossed := first.cross_validation:
        return f"Cross-validation {crossed.pk} is over", reverse(
            "modelops:cross_validation", args=[crossed.pk]
        )
    how = "is done" if first.status == TrainingJob.Status.SUCCEEDED else "failed"
    words = f"Job {first.pk} {how}" + (f", {more} more" if more else "")
    return words, reverse("modelops:job", args=[first.pk])


def notice_of_alarms(user: User) -> tuple[str, str] | None:
    if user.role != Role.ML_ADMIN:
        return None
    waiting = Alarm.objects.filter(site=user.site_id, closed_at=None, acknowledged_at=None)
    domains = list(waiting.order_by("-opened_at", "-pk").values_list("domain", flat=True)[:20])
    if not domains:
        return None
    return counted(len(domains), "alarm"), reverse("modelops:watch", args=[domains[0]])


def seen(jobs: Iterable[TrainingJob], user: User) -> None:
    """Their requester looks at their page."""
    if ended := [job.pk for job in jobs if job.unseen and job.requested_by_id == user.pk]:
        TrainingJob.objects.filter(pk__in=ended).update(unseen=False)
