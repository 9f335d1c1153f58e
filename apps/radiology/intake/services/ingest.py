"""The one way in. A film is on disk and in the database before its sender hears that it arrived."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path

from django.db import IntegrityError, transaction

from apps.audit.services import record
from apps.core.bell import ring
from apps.core.clock import now
from apps.radiology.common.headers import as_json, film_of, identity_of
from apps.radiology.common.limits import file_limits
from apps.radiology.common.services.line import stand_in_line
from apps.radiology.common.services.senders import Sender
from apps.radiology.common.store import begin_flush, film_path, keep
from apps.radiology.documents.results import result_by_uid
from apps.radiology.exchange.services.priors import as_asked, came_again
from apps.radiology.intake.received import Ingested, Outcome, Received, measure, measure_film
from apps.radiology.intake.services.rejections import note_against, take_rejection
from apps.radiology.intake.services.resends import take_resend
from apps.radiology.models import IdentityChange, Instance, ReportDocument, Result, Study
from apps.radiology.studies.services.identity import change_identity, follow_merges, may_join
from apps.radiology.studies.services.late_films import note_late_film
from apps.radiology.studies.services.orders import take_order
from apps.radiology.studies.services.quiet import film_arrived
from apps.radiology.studies.services.studies import TASK, sum_up
from ml.radiology.contracts import DicomRefused, InstanceHeader
from ml.radiology.dicom import identify, read_header
from ml.radiology.gate import is_secondary
from ml.radiology.rejection import read_rejection

# Refusals that are about what is stored already, not about the file.
CONFLICTS = ("instance_conflict", "patient_mismatch", "other_study")


def ingest_instance(path: Path, *, sender: Sender, study_uid: str = "") -> Ingested:
    """Take a received file in, or find that it is here already. `path` must lie in `store.incoming`.

    A rejection note (IHE IOCM) is honoured, a result made here is known already; any other document without
    pixels is refused.
    Raises DicomRefused: a code of `ml.radiology.dicom`, instance_conflict for another image under a known
    SOPInstanceUID (kept aside), patient_mismatch for a known study under another PatientID, other_study where
    the study is not `study_uid`. But for instance_conflict nothing is stored then.
    """
    try:
        header = read_header(path, file_limits())
    except DicomRefused as error:
        document = read_rejection(path, file_limits()) if error.code == "no_pixels" else None
        if document is None:
            if (result := _result(sender, *identify(path, file_limits()), study_uid)) is not None:
                return Ingested(Outcome.DUPLICATE, result=result)
            raise
        _check_study(document.StudyInstanceUID, study_uid)
        return take_rejection(document, measure(path), sender)
    _check_study(header.StudyInstanceUID, study_uid)
    may_be_ours = header.is_result or is_secondary(header)
    if may_be_ours and (result := _result(sender, header.SOPClassUID, header.SOPInstanceUID, study_uid)):
        return Ingested(Outcome.DUPLICATE, result=result)
    known = _known(sender, header)
    if known is None:
        flushed = begin_flush(path)
        file = measure_film(path, header)
        try:
            instance = _enter(file, sender, flushed)
            return Ingested(Outcome.REJECTED if instance.rejected_by else Outcome.STORED, instance)
        except IntegrityError:
            # Another sender was faster with the same instance.
            if (known := _known(sender, header)) is None:
                raise
    taken = take_resend(known, measure_film(path, header), sender)
    if known.study.is_prior:
        came_again(known.study_id, sender)
    return taken


def _check_study(sent: str, named: str) -> None:
    if named and sent != named:
        raise DicomRefused("other_study", "The image belongs to another study than the one named.")


def _result(sender: Sender, class_uid: str, uid: str, study_uid: str) -> Result | ReportDocument | None:
    """The result made here that has come back, whatever was done to its header on the way."""
    result = result_by_uid(sender.site, uid)
    if result is None or result.SOPClassUID != class_uid:
        return None
    _check_study(result.study.StudyInstanceUID, study_uid)
    return result


def _known(sender: Sender, header: InstanceHeader) -> Instance | None:
    found = Instance.objects.filter(site=sender.site, SOPInstanceUID=header.SOPInstanceUID)
    if not found.exists():  # as it nearly always is: a third of what the instance itself costs
        return None
    return found.select_related("study", "site", "rejected_by").first()


@transaction.atomic
def _enter(file: Received, sender: Sender, flushed: Future[None]) -> Instance:
    stand_in_line(sender.site, alone=False)
    at, header = now(), as_json(file.header)
    study, made = _study_of(file, sender)
    instance = Instance.objects.create(
        study=study,
        site=sender.site,
        SOPInstanceUID=file.header.SOPInstanceUID,
        **film_of(header),
        file_sha256=file.file_sha256,
        content_sha256=file.content_sha256,
        file_bytes=file.size,
        origin=sender.origin,
        rejected_by=note_against(sender, file.header.SOPInstanceUID),
        received_at=at,
    )
    if file.header.synthetic and not study.synthetic:
        Study.objects.filter(pk=study.pk).update(synthetic=True)
    order = take_order(study, file.header.request) if instance.rejected_by is None else []
    if not made or instance.rejected_by is not None:  # else it is as it was made
        film_arrived(study, actor=sender.actor)
        if instance.rejected_by is None:
            note_late_film(study)
        sum_up(study.pk)
    record(
        "study.received",
        site=sender.site,
        actor=sender.actor,
        subject=f"study:{study.pk}",
        detail={"instance": instance.pk, "origin": sender.origin, **({"order": order} if order else {})},
    )
    if instance.rejected_by is None:
        ring(TASK, instance.pk)
    # Last, so that a refusal above leaves no file; before the commit, so that no row is without its file.
    flushed.result()
    keep(file.path, film_path(sender.site, file.file_sha256))
    return instance


def _study_of(file: Received, sender: Sender) -> tuple[Study, bool]:
    """The film's study, locked, and whether it is new. Who is trusted for corrections may bring a known study
    a new identity."""
    at, identity, uid = now(), identity_of(as_json(file.header)), file.header.StudyInstanceUID
    fresh = Study(
        site=sender.site, StudyInstanceUID=uid, **identity, received_at=at, last_received_at=at,
        rank_at=at, changed_at=at, synthetic=file.header.synthetic,
    )  # fmt: skip
    # Two statements where asking first takes five.
    Study.objects.bulk_create([fresh], ignore_conflicts=True)
    locked = Study.objects.select_for_update(of=("self",)).select_related("site")
    study = locked.get(site=sender.site, StudyInstanceUID=uid)
    made = study.public_id == fresh.public_id
    if not may_join(study, identity):
        if not sender.trusted:
            raise DicomRefused("patient_mismatch", "This study is stored under another PatientID.")
        kind = IdentityChange.Kind.CORRECTION
        change_identity(study, identity, kind=kind, by=None, actor=sender.actor, sender=sender.name)
    follow_merges(study, actor=sender.actor)
    as_asked(study, made, sender)
    return study, made
