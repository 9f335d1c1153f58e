"""Begin a read, keep what is marked, commit it, sign it, add to it, take it back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.db import transaction

from apps.accounts.models import User
from apps.audit.services import record
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.radiology.documents.services.dispatches import dispatch_results
from apps.radiology.documents.services.documents import add_document
from apps.radiology.models import Addendum, Analysis, DocumentKind, Exposure, Mark, Read, ReadState, Study
from apps.radiology.reading.handed import told_of_ai
from apps.radiology.reading.regions import Drawn
from apps.radiology.reading.services.communications import check_communicated
from apps.radiology.reading.services.hand_over import take_hand_over
from apps.radiology.reading.services.regions import keep_regions
from apps.radiology.reading.services.second_reads import draw_second_read, note_second_read
from apps.radiology.studies.changes import identity_in_question
from apps.radiology.studies.flags import identity_changed, identity_mark
from apps.radiology.studies.late import films_mark
from apps.radiology.studies.reads import Said, may_see_ai, reads_concurrently, said_by
from apps.radiology.studies.services.late_films import check_films, settle_late_films
from apps.radiology.studies.services.locks import hold_lock, release_lock, take_lock
from apps.radiology.studies.services.studies import sum_up_reads, touch

TEXT_MAX = 20_000


@transaction.atomic
def begin_read(study: Study, user: User, *, over: bool = False) -> Read:
    """This reader's read of the study, a new draft or the one there is, and the lock on it.

    LynceusError 409: study_locked, identity_in_question.
    """
    take_lock(study, user, over=over)
    _known_whose(study)
    given = {"opened_at": now(), "concurrent": reads_concurrently(study.site)}
    standing = Read.objects.exclude(state=ReadState.RETRACTED)
    read, made = standing.get_or_create(study=study, reader=user, defaults=given)
    take_hand_over(read, made=made)
    if made:
        _tell(read, "read.begun")
        sum_up_reads(study)
    return read


@transaction.atomic
def keep_draft(read: Read, said: Mapping[str, Said], text: str, drawn: Sequence[Drawn] | None = None) -> None:
    """Add a mark for each finding of which something else is said now, and a row for each region drawn or
    taken away (None: nothing is said of regions). LynceusError 409 read_closed, study_locked; 422
    text_too_long, bad_region."""
    read = opened(read)
    if len(text) > TEXT_MAX:
        raise LynceusError("text_too_long", f"A report has at most {TEXT_MAX:,} characters.", status=422)
    before, at = said_by(read), now()
    Mark.objects.bulk_create(
        Mark(read=read, label=label, verdict=one.verdict, side=one.side, at=at,
             after_reveal=read.committed_at is not None)
        for label, one in said.items() if one != before.get(label, Said())
    )  # fmt: skip
    if drawn is not None:
        keep_regions(read, drawn, list(said), at)
    Read.objects.filter(pk=read.pk).update(text=text)


@transaction.atomic
def commit_read(read: Read) -> Read:
    """From here on the model's answer is open to this reader, and what was marked before counts as blind."""
    read = opened(read)
    if read.committed_at is not None:
        return read
    _known_whose(read.study)
    spoken = Analysis.objects.filter(instance__study=read.study, instance__rejected_by=None)
    last = spoken.order_by("-pk").first()
    read.ai_exposure = _exposure(read, last)
    read.version_id = last.version_id if last else None
    read.state, read.committed_at = ReadState.PRELIMINARY, now()
    read.save(update_fields=["ai_exposure", "version", "state", "committed_at"])
    note_second_read(read)
    _tell(read, "read.committed", exposure=read.ai_exposure)
    sum_up_reads(read.study)
    return read


def _exposure(read: Read, last: Analysis | None) -> Exposure:
    """Before the commit. Open it was from the start, by now, or since an earlier read of this reader's."""
    if last is None:
        return Exposure.NONE
    knew = read.concurrent or may_see_ai(read.reader, read.study) or told_of_ai(read)
    return Exposure.FULL if knew else Exposure.RANK


@transaction.atomic
def sign_read(read: Read, *, without_communication: bool = False, seen: str = "", films: str = "") -> Read:
    """`seen` is `flags.identity_mark` and `films` `late.films_mark` of what the reader looked at, where they
    say so. LynceusError 409 not_committed, identity_in_question, identity_changed, films_changed,
    not_communicated."""
    read = opened(read)
    if read.committed_at is None:
        raise LynceusError("not_committed", "Commit the read before you sign it.", status=409)
    touch(read.study_id)  # from here to the commit nobody changes whose it is, and no film comes
    _known_whose(read.study)
    if seen and seen != identity_mark(read.study):
        raise LynceusError(
            "identity_changed", "Patient or study data changed while you read: look again.", status=409
        )
    check_films(read.study, films)
    untold = check_communicated(read, without=without_communication)
    read.state, read.signed_at = ReadState.FINAL, now()
    read.save(update_fields=["state", "signed_at"])
    _tell(read, "read.signed", **({"untold": untold} if untold else {}))
    settle_late_films(read.study, by=read.reader)
    sum_up_reads(read.study)
    draw_second_read(read)
    add_document(read, DocumentKind.REPORT)
    dispatch_results(read.study)
    release_lock(read.study, read.reader)
    return read


@transaction.atomic
def add_addendum(read: Read, text: str, *, retracts: bool = False, films: str = "") -> Read:
    """To a signed read; one that `retracts` says why it was of the wrong patient, and ends it. It settles
    late films, but where one came that the writer's page had not shown (`films` as in `sign_read`).
    LynceusError 409 not_signed, 422 empty_text, text_too_long."""
    read = _locked(read)
    if not read.is_signed:
        raise LynceusError("not_signed", "Only a signed read is added to.", status=409)
    if not text.strip() or len(text) > TEXT_MAX:
        code = "text_too_long" if text.strip() else "empty_text"
        raise LynceusError(code, f"Write 1 to {TEXT_MAX:,} characters.", status=422)
    touch(read.study_id)
    knows = {"identity": "changed since"} if identity_changed(read) else {}
    Addendum.objects.create(read=read, by=read.reader, text=text.strip(), retracts=retracts, at=now())
    read.state = ReadState.RETRACTED if retracts else ReadState.AMENDED
    read.save(update_fields=["state"])
    _tell(read, "read.retracted" if retracts else "read.amended", **knows)
    if films in ("", films_mark(read.study)):
        settle_late_films(read.study, by=read.reader)
    sum_up_reads(read.study)
    add_document(read, DocumentKind.REJECTION if retracts else DocumentKind.REPORT)
    return read


def opened(read: Read) -> Read:
    """Locked for its own reader, who holds the study."""
    read = _locked(read)
    if not read.is_open:
        raise LynceusError("read_closed", "This read is signed: add an addendum.", status=409)
    if not hold_lock(read.study, read.reader):
        take_lock(read.study, read.reader)
    return read


def _locked(read: Read) -> Read:
    held = Read.objects.select_for_update(of=("self",)).select_related("study__site", "reader")
    return held.get(pk=read.pk)


def _known_whose(study: Study) -> None:
    if identity_in_question(study):
        raise LynceusError(
            "identity_in_question",
            "Whose study this is, is in question: accept or refuse what was sent first.",
            status=409,
        )


def _tell(read: Read, action: str, **detail: str | int) -> None:
    told = {"read": read.pk, **detail}
    record(action, site=read.study.site, actor=read.reader, subject=f"study:{read.study_id}", detail=told)
