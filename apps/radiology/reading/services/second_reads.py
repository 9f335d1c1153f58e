"""Ask for a second read, by a person or by a draw; decline it; take note of the one that was given."""

from __future__ import annotations

from django.db import transaction

from apps.accounts.models import User
from apps.audit.services import record
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.radiology.common.services.draws import throw
from apps.radiology.models import Purpose, Read, ReadState, SecondRead, SecondReadDecline, Study
from apps.radiology.studies.second_reads import REASON_MAX, gives_second_read, readers_left, second_read_of
from apps.radiology.studies.services.locks import release_lock
from apps.radiology.studies.services.studies import sum_up_reads, touch


@transaction.atomic
def request_second_read(study: Study, user: User) -> SecondRead:
    """Of a read that is committed. LynceusError 409: not_committed, second_read_exists."""
    touch(study.pk)
    standing = Read.objects.filter(study=study, committed_at__isnull=False).exclude(state=ReadState.RETRACTED)
    reads = list(standing.order_by("committed_at"))
    if not reads:
        raise LynceusError("not_committed", "Nobody has committed a read of this study yet.", status=409)
    if len(reads) > 1 or second_read_of(study) is not None:
        raise LynceusError("second_read_exists", "A second read was asked for or given already.", status=409)
    return _ask(reads[0], user)


def draw_second_read(signed: Read) -> None:
    """At sign-off: chance asks for a second reader where nobody has. The caller has locked the study."""
    if SecondRead.objects.filter(read=signed).exists() or second_read_of(signed.study) is not None:
        return
    if throw(signed.study, Purpose.SECOND_READ):
        _ask(signed, None)


@transaction.atomic
def decline_second_read(study: Study, user: User, reason: str) -> SecondReadDecline:
    """The study is on this person's list no more, and stays on the others'. LynceusError 422 bad_reason, 409
    not_asked."""
    reason = " ".join(reason.split())
    if not reason or len(reason) > REASON_MAX:
        raise LynceusError("bad_reason", f"Give a reason of 1 to {REASON_MAX} characters.", status=422)
    touch(study.pk)
    asked = second_read_of(study)
    if asked is None or not gives_second_read(user, study):
        raise LynceusError("not_asked", "You are not asked for a second read of this study.", status=409)
    declined = SecondReadDecline.objects.create(second=asked, by=user, reason=reason, at=now())
    release_lock(study, user)
    # Why they declined may name the patient: the audit tells that they did, and how many are left to ask.
    detail = {"decline": declined.pk, "read": asked.first_id, "left": readers_left(study).count()}
    record("second_read.declined", site=study.site, actor=user, subject=f"study:{study.pk}", detail=detail)
    return declined


def note_second_read(committed: Read) -> None:
    """What was committed is the second read that was asked for. It is somebody else's than the first, of one
    reader a study has one read that stands, and of nobody who declined, to whom the first one opened."""
    asked = second_read_of(committed.study)
    if asked is not None and not asked.declines.filter(by=committed.reader_id).exists():
        SecondRead.objects.filter(pk=asked.pk, read=None).update(read=committed)


def _ask(first: Read, by: User | None) -> SecondRead:
    asked = SecondRead.objects.create(study=first.study, first=first, requested_by=by, at=now())
    sum_up_reads(first.study)
    subject = f"study:{first.study_id}"
    record("second_read.asked", site=first.study.site, actor=by, subject=subject, detail={"read": first.pk})
    return asked
