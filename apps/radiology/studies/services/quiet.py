"""When a study is complete: no sender says so, hence when nothing more came for a while."""

from __future__ import annotations

from datetime import timedelta

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from apps.audit.services import Actor, record
from apps.core.clock import now
from apps.radiology.common.services.draws import throw
from apps.radiology.models import Purpose, Study

log = structlog.get_logger(__name__)
AT_ONCE = 200


def film_arrived(study: Study, *, actor: Actor) -> None:
    """Begin to wait anew, and open a study again that was complete. The caller has locked it."""
    if study.complete_at is not None:
        record("study.reopened", site=study.site, actor=actor, subject=f"study:{study.pk}")
    study.last_received_at, study.complete_at = now(), None
    study.save(update_fields=["last_received_at", "complete_at"])


def complete_quiet_studies() -> int:
    """Call complete what has been quiet for long enough, the longest quiet first. Returns how many."""
    due = list(_quiet().order_by("last_received_at").values_list("pk", flat=True)[:AT_ONCE])
    return sum(_complete(pk) for pk in due)


def _quiet() -> QuerySet[Study]:
    since = now() - timedelta(seconds=settings.LYNCEUS_STUDY_QUIET_S)
    return Study.objects.filter(complete_at=None, last_received_at__lte=since)


@transaction.atomic
def _complete(pk: int) -> bool:
    # Asked again under the lock: a film may have come since.
    study = _quiet().select_for_update(of=("self",)).select_related("site").filter(pk=pk).first()
    if study is None:
        return False
    study.complete_at = study.changed_at = now()
    study.save(update_fields=["complete_at", "changed_at"])
    if not study.is_prior:
        throw(study, Purpose.SAMPLE)
    detail = {"films": study.instances.count()}
    record("study.complete", site=study.site, actor=None, subject=f"study:{pk}", detail=detail)
    log.info("study_complete", study=pk)
    return True
