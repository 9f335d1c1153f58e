"""Honour rejection notes: what one names leaves worklist, pages and answers; its file stays."""

from __future__ import annotations

from collections.abc import Collection

from django.db import IntegrityError, transaction

from apps.accounts.models import User
from apps.audit.services import Actor, record
from apps.core.bell import ring
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.radiology.common.services.line import stand_in_line
from apps.radiology.common.services.senders import Sender
from apps.radiology.common.store import film_path, flush, keep
from apps.radiology.intake.received import File, Ingested, Outcome
from apps.radiology.models import OPEN, Instance, Rejection, RejectionCode, RejectionNote
from apps.radiology.studies.services.studies import TASK, sum_up
from ml.radiology.contracts import DicomRefused
from ml.radiology.rejection import RejectionDocument


def take_rejection(document: RejectionDocument, file: File, sender: Sender) -> Ingested:
    """Store a note and take what it names out of use, also what arrives later. Sent again it is no news.

    Raises DicomRefused instance_conflict where its SOPInstanceUID stands for another document.
    """
    if (note := _known(document, file, sender)) is None:
        flush(file.path)
        try:
            note = _enter(document, file, sender)
        except IntegrityError:
            # Another sender was faster with the same note.
            if (note := _known(document, file, sender)) is None:
                raise
    return Ingested(Outcome.NOTED, note=note)


def _known(document: RejectionDocument, file: File, sender: Sender) -> RejectionNote | None:
    known = RejectionNote.objects.filter(site=sender.site, SOPInstanceUID=document.SOPInstanceUID).first()
    if known is not None and known.content_sha256 != file.content_sha256:
        raise DicomRefused("instance_conflict", "Another rejection note is stored under this SOPInstanceUID.")
    return known


@transaction.atomic
def _enter(document: RejectionDocument, file: File, sender: Sender) -> RejectionNote:
    stand_in_line(sender.site, alone=True)
    note = RejectionNote.objects.create(
        site=sender.site,
        SOPInstanceUID=document.SOPInstanceUID,
        code=document.code,
        file_sha256=file.file_sha256,
        content_sha256=file.content_sha256,
        sender=sender.name,
        received_at=now(),
    )
    Rejection.objects.bulk_create(
        Rejection(note=note, site=sender.site, SOPInstanceUID=uid) for uid in document.instances
    )
    settle_rejections(note, document.instances)
    _record("rejection.received", note, sender.actor, instances=len(document.instances), sender=sender.name)
    keep(file.path, film_path(sender.site, file.file_sha256))
    return note


@transaction.atomic
def undo_rejection(note: RejectionNote, *, by: User) -> None:
    """Put what it names into use again, but what another note rejects too. Raises LynceusError 409 where IOCM
    does not let it, or it was undone already."""
    stand_in_line(note.site, alone=True)
    note = RejectionNote.objects.select_for_update().get(pk=note.pk)
    if not note.may_be_undone:
        raise LynceusError("not_undoable", "This rejection cannot be undone.", status=409)
    note.undone_at, note.undone_by = now(), by
    note.save(update_fields=["undone_at", "undone_by"])
    note.rejections.filter(ended_at=None).update(ended_at=now())
    settle_rejections(note, list(note.rejections.values_list("SOPInstanceUID", flat=True)))
    _record("rejection.undone", note, by)


@transaction.atomic
def receive_again(instance: Instance, sender: Sender) -> Instance:
    """What was dropped because its time was over may be sent anew, and is in use again (IOCM). What was
    rejected for another reason stays so."""
    note = instance.rejected_by
    if note is None or note.code != RejectionCode.RETENTION:
        return instance
    stand_in_line(instance.site, alone=True)
    uid = instance.SOPInstanceUID
    in_force = Rejection.objects.filter(site=instance.site, SOPInstanceUID=uid, ended_at=None)
    in_force.filter(note__code=RejectionCode.RETENTION).update(ended_at=now())
    settle_rejections(note, [uid])
    _record("rejection.ended", note, sender.actor, instance=instance.pk, sender=sender.name)
    return Instance.objects.select_related("study", "site", "rejected_by").get(pk=instance.pk)


def note_against(sender: Sender, uid: str) -> RejectionNote | None:
    """The note in force that rejects an instance, one that nobody may undo before one that somebody may."""
    notes = RejectionNote.objects.filter(
        site=sender.site, rejections__SOPInstanceUID=uid, rejections__ended_at=None
    )
    return min(notes, key=_rank, default=None)


def settle_rejections(note: RejectionNote, uids: Collection[str]) -> None:
    """Bring instances and their studies in step with the notes in force that name them."""
    instances = Instance.objects.filter(site=note.site, SOPInstanceUID__in=uids)
    # Studies in the order of their keys, as everybody locks them.
    studies = sorted(set(instances.values_list("study_id", flat=True)))
    against: dict[str, RejectionNote] = {}
    in_force = Rejection.objects.select_related("note").filter(site=note.site, ended_at=None)
    for one in in_force.filter(SOPInstanceUID__in=uids):
        best = against.get(one.SOPInstanceUID)
        against[one.SOPInstanceUID] = one.note if best is None else min(best, one.note, key=_rank)
    for instance in instances.select_for_update().order_by("study_id", "pk"):
        instance.rejected_by = against.get(instance.SOPInstanceUID)
        instance.save(update_fields=["rejected_by"])
        if instance.rejected_by is None and instance.status in OPEN:
            ring(TASK, instance.pk)
    for pk in studies:
        sum_up(pk)


def _rank(note: RejectionNote) -> tuple[bool, bool, int]:
    """What ends by a person, or by being sent anew, stands behind what does not end."""
    return note.code == RejectionCode.QUALITY, note.code == RejectionCode.RETENTION, note.pk


def _record(action: str, note: RejectionNote, actor: Actor, **detail: object) -> None:
    subject = f"rejection_note:{note.pk}"
    record(action, site=note.site, actor=actor, subject=subject, detail={"code": note.code, **detail})
