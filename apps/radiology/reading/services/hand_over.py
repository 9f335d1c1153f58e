"""Leave a study to a colleague, or to whoever is next: the lock, the draft's text, and a word."""

from __future__ import annotations

from django.db import transaction

from apps.accounts.models import User
from apps.audit.services import record
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.radiology.models import HandOver, Read, Study, StudyLock
from apps.radiology.studies.reads import may_see_ai
from apps.radiology.studies.services.locks import HELD, hold_lock, release_lock
from apps.radiology.studies.services.studies import touch

NOTE_MAX = 500


@transaction.atomic
def hand_over(study: Study, by: User, *, to: User | None, note: str) -> HandOver:
    """The one who holds the study leaves it. A named reader has the lock from here on, for as long as any
    lock holds. LynceusError 409 lock_lost, 422 note_too_long."""
    if len(note) > NOTE_MAX:
        raise LynceusError("note_too_long", f"A note has at most {NOTE_MAX} characters.", status=422)
    touch(study.pk)
    if not hold_lock(study, by):
        raise LynceusError("lock_lost", "Somebody else reads this study now, or you were away.", status=409)
    at = now()
    HandOver.objects.filter(study=study, taken_at=None).update(taken_at=at, taken_by=by)
    opened = may_see_ai(by, study)
    given = HandOver.objects.create(study=study, by=by, to=to, note=note.strip(), opened=opened, at=at)
    if to is None:
        release_lock(study, by)
    else:
        StudyLock.objects.filter(study=study).update(by=to, taken_at=at, expires_at=at + HELD)
    _tell("read.handed_over", given, by, to=f"user:{to.pk}" if to else "next")
    return given


def take_hand_over(read: Read, *, made: bool) -> None:
    """The reader of a study they hold takes what was left with it. Into a draft that was just `made` comes
    the text, which is no label; marks stay those of who made them."""
    left = HandOver.objects.select_related("by").filter(study=read.study, taken_at=None).first()
    if left is None or left.by_id == read.reader_id:
        return
    left.taken_by, left.taken_at = read.reader, now()
    left.save(update_fields=["taken_by", "taken_at"])
    _tell("read.taken_on", left, read.reader, **{"from": f"user:{left.by_id}"})
    theirs = Read.objects.filter(study=read.study, reader=left.by).order_by("-pk").first()
    if made and theirs is not None and theirs.is_open:
        read.text = theirs.text
        read.save(update_fields=["text"])


def _tell(action: str, given: HandOver, actor: User, **detail: str) -> None:
    told = {"hand_over": given.pk, **detail}
    record(action, site=given.study.site, actor=actor, subject=f"study:{given.study_id}", detail=told)
