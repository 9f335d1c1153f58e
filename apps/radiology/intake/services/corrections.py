"""The same pixels under another header: keep both, apply what a trusted source or a person says."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from apps.accounts.models import User
from apps.audit.services import Actor, record
from apps.core.bell import ring
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.radiology.common.headers import WHOSE, as_json, film_of, identity_of
from apps.radiology.common.services.line import stand_in_line
from apps.radiology.common.services.senders import Sender
from apps.radiology.common.store import film_path, flush, keep, share_picture
from apps.radiology.intake.received import Ingested, Outcome, Received
from apps.radiology.models import OPEN, Correction, CorrectionState, IdentityChange, Instance, Status, Study
from apps.radiology.studies.services.identity import change_identity, follow_merges, may_join
from apps.radiology.studies.services.late_films import note_late_film
from apps.radiology.studies.services.quiet import film_arrived
from apps.radiology.studies.services.studies import TASK, sum_up, touch
from ml.radiology.contracts import InstanceHeader

# What the gate and the reading of the pixels do not look at.
_HARMLESS = {*WHOSE, "TransferSyntaxUID", "SeriesInstanceUID", "SeriesDescription", "synthetic"}


def receive_correction(known: Instance, stored: InstanceHeader, file: Received, sender: Sender) -> Ingested:
    """Keep the file and both headers. Applied at once where the sender is trusted, or where the study has the
    new identity already and nothing else differs; else a person is asked. What was superseded or refused
    before is no news, but from a trusted source."""
    flush(file.path)
    with transaction.atomic():
        stand_in_line(known.site, alone=False)
        # A film before its study, in the order in which the worker that finishes it locks them.
        locked = Instance.objects.select_for_update(of=("self",)).select_related("study", "site")
        known = locked.get(pk=known.pk)
        study = Study.objects.select_for_update().get(pk=known.study_id)
        seen = known.corrections.filter(after_content_sha256=file.content_sha256)
        waiting = seen.filter(state=CorrectionState.WAITING).first()
        superseded = known.corrections.filter(before_content_sha256=file.content_sha256).exists()
        if file.content_sha256 == known.content_sha256:
            return Ingested(Outcome.DUPLICATE, known)
        if not sender.trusted and (superseded or seen.exists()):
            return Ingested(Outcome.WAITS if waiting else Outcome.DUPLICATE, known)
        correction = waiting or _make(known, stored, file, sender)
        if not waiting:
            keep(file.path, film_path(known.site, file.file_sha256))
        at_once = sender.trusted or _follows(correction, study)
        if at_once and _apply(correction, by=None, actor=sender.actor, sender=sender.name):
            return Ingested(Outcome.CORRECTED, Instance.objects.get(pk=known.pk))
        touch(study.pk)
        return Ingested(Outcome.WAITS, known)


def _make(known: Instance, stored: InstanceHeader, file: Received, sender: Sender) -> Correction:
    before, after = as_json(stored), as_json(file.header)
    correction = Correction.objects.create(
        site=known.site,
        instance=known,
        before=before,
        after=after,
        changes_identity=any(before[name] != after[name] for name in WHOSE),
        before_sha256=known.file_sha256,
        after_sha256=file.file_sha256,
        before_content_sha256=known.content_sha256,
        after_content_sha256=file.content_sha256,
        after_bytes=file.size,
        sender=sender.name,
        received_at=now(),
    )
    _record("correction.received", correction, sender.actor, sender=sender.name)
    return correction


def _follows(correction: Correction, study: Study) -> bool:
    """Whether the study has this identity already, by what was decided before of another of its films."""
    if correction.after["StudyInstanceUID"] != study.StudyInstanceUID:
        return False
    identity = identity_of(correction.after)
    return (
        all(getattr(study, name) == value for name, value in identity.items())
        and study.identity_changes.exists()
        and all(name in (*WHOSE, "TransferSyntaxUID") for name, _, _ in correction.changes)
    )


@transaction.atomic
def accept_correction(correction: Correction, *, by: User) -> int:
    """Apply it, and with it all that wait for the same study with the same identity: a PACS sends a study's
    films one by one. Returns how many. Raises LynceusError 409 where it no longer waits or cannot be applied.
    """
    stand_in_line(correction.site, alone=False)
    alike = _alike(correction)
    for one in alike:
        if not _apply(one, by=by, actor=by, sender=one.sender):
            raise LynceusError(
                "patient_mismatch", "The study named in the correction is another patient's.", status=409
            )
    return len(alike)


@transaction.atomic
def refuse_correction(correction: Correction, *, by: User) -> int:
    """Leave all as it is, for those that `accept_correction` would apply. Returns how many."""
    alike = _alike(correction)
    for one in alike:
        _decide(one, CorrectionState.REFUSED, by)
        _record("correction.refused", one, by, sender=one.sender)
    touch(correction.instance.study_id)
    return len(alike)


def _alike(correction: Correction) -> list[Correction]:
    study_id = correction.instance.study_id
    waiting = Correction.objects.select_related("instance__site").filter(
        instance__study=study_id, state=CorrectionState.WAITING
    )
    films = Instance.objects.select_for_update().filter(pk__in=waiting.values("instance"))
    list(films.order_by("pk"))  # locked, before their study
    Study.objects.select_for_update().get(pk=study_id)
    whose = _whose(correction.after)
    alike = [one for one in waiting.order_by("pk") if _whose(one.after) == whose]
    if correction.pk not in [one.pk for one in alike]:
        raise LynceusError("decided_already", "Somebody has decided this correction already.", status=409)
    return alike


def _whose(header: dict[str, Any]) -> dict[str, Any]:
    return {name: header[name] for name in WHOSE}


def _apply(correction: Correction, *, by: User | None, actor: Actor, sender: str) -> bool:
    """Make the other header the current one; the caller holds the film's and the study's lock. False where
    the study it names is another patient's."""
    after, at = correction.after, now()
    identity = identity_of(after)
    locked = Instance.objects.select_for_update(of=("self",)).select_related("site")
    instance = locked.get(pk=correction.instance_id)
    left = instance.study_id
    study, made = Study.objects.get_or_create(
        site=instance.site,
        StudyInstanceUID=after["StudyInstanceUID"],
        defaults={
            **identity,
            "received_at": at,
            "rank_at": at,
            "changed_at": at,
            "synthetic": after["synthetic"],
        },
    )
    study = Study.objects.select_for_update().get(pk=study.pk)
    if study.pk != left and not made and not may_join(study, identity):
        return False
    kind = IdentityChange.Kind.CORRECTION
    change_identity(study, identity, kind=kind, by=by, actor=actor, sender="" if by else sender)
    follow_merges(study, actor=actor)
    _take_over(instance, study, correction)
    _decide(correction, CorrectionState.APPLIED, by)
    _record("correction.applied", correction, actor, sender=sender)
    if study.pk != left:
        film_arrived(study, actor=actor)
        note_late_film(study)
    for pk in {left, study.pk}:
        sum_up(pk)
    return True


def _take_over(instance: Instance, study: Study, correction: Correction) -> None:
    """The instance with the new header and file. It is analysed again where the change may matter to that."""
    share_picture(instance.site, instance.file_sha256, correction.after_sha256)
    film = film_of(correction.after)
    # Against the film as it is now too: another correction may have come in between.
    differs = {name for name, value in film.items() if getattr(instance, name) != value}
    matters = (differs | {name for name, _, _ in correction.changes}) - _HARMLESS
    for name, value in film.items():
        setattr(instance, name, value)
    instance.study = study
    instance.file_sha256, instance.content_sha256 = correction.after_sha256, correction.after_content_sha256
    instance.file_bytes = correction.after_bytes
    if matters or instance.status in OPEN:
        # A worker that has it now would write its picture under the old file's name: it is fenced off.
        instance.status, instance.lease_expires_at, instance.attempts = Status.RECEIVED, None, 0
        instance.reason = instance.reason_code = ""
        ring(TASK, instance.pk)
    instance.save()


def _decide(correction: Correction, state: str, by: User | None) -> None:
    correction.state, correction.decided_at, correction.decided_by = state, now(), by
    correction.save(update_fields=["state", "decided_at", "decided_by"])


def _record(action: str, correction: Correction, actor: Actor, *, sender: str) -> None:
    detail = {
        "correction": correction.pk,
        "sender": sender,
        "fields": [name for name, _, _ in correction.changes],
    }
    subject = f"instance:{correction.instance_id}"
    record(action, site=correction.site, actor=actor, subject=subject, detail=detail)
