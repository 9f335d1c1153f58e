"""One reader a study: taken when a read begins, kept while it goes on, nobody's once it expired."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction

from apps.accounts.models import User
from apps.audit.services import record
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.radiology.models import Study, StudyLock
from apps.radiology.studies.services.studies import touch

HELD = timedelta(minutes=10)


@transaction.atomic
def take_lock(study: Study, user: User, *, over: bool = False) -> StudyLock:
    """LynceusError 409 study_locked while somebody else reads it, unless it is taken `over`."""
    touch(study.pk)
    lock, at = StudyLock.objects.select_related("by").filter(study=study).first(), now()
    if lock is not None and lock.by_id != user.pk and lock.expires_at > at:
        if not over:
            raise _locked_by(lock)
        detail = {"from": f"user:{lock.by_id}"}
        record("lock.taken_over", site=study.site, actor=user, subject=f"study:{study.pk}", detail=detail)
    began = lock.taken_at if lock is not None and lock.by_id == user.pk else at
    given = {"by": user, "taken_at": began, "expires_at": at + HELD}
    kept, _ = StudyLock.objects.update_or_create(study=study, defaults=given)
    return kept


def hold_lock(study: Study, user: User) -> bool:
    """Keep it for longer; False where it is not this reader's (any more)."""
    mine = StudyLock.objects.filter(study=study, by=user, expires_at__gt=now())
    return bool(mine.update(expires_at=now() + HELD))


@transaction.atomic
def release_lock(study: Study, user: User) -> None:
    touch(study.pk)
    StudyLock.objects.filter(study=study, by=user).delete()


def _locked_by(lock: StudyLock) -> LynceusError:
    who = lock.by.full_name or lock.by.email
    return LynceusError("study_locked", f"{who} is reading this study.", status=409)
