"""One patient under two numbers, and a study under the wrong one: what a named person says."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction

from apps.accounts.models import Site, User
from apps.audit.services import record
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.radiology.common.headers import PATIENT
from apps.radiology.common.services.line import stand_in_line
from apps.radiology.models import IdentityChange, PatientMerge, Study
from apps.radiology.studies.services.identity import (
    PERSON,
    Patient,
    as_patient,
    change_identity,
    follow_merges,
    merge_of,
    merged_into,
    studies_of,
)

MOVES = (IdentityChange.Kind.MOVE, IdentityChange.Kind.CORRECTION)


@transaction.atomic
def merge_patients(site: Site, source: Patient, target: Patient, *, note: str, by: User) -> PatientMerge:
    """Every study of `source`, and what comes under that number later, is `target`'s. Raises LynceusError 409
    where `source` is merged already, or `target` was merged into `source`."""
    stand_in_line(site, alone=True)
    if merge_of(site, source) is not None:
        raise LynceusError("merged_already", "This patient is merged into another already.", status=409)
    if merged_into(site, target) == source:
        raise LynceusError("merge_in_a_circle", "That would merge the patient into itself.", status=409)
    studies = _locked(studies_of(site, source).values_list("pk", flat=True))
    merge = PatientMerge.objects.create(
        site=site,
        from_patient=source[0],
        from_issuer=source[1],
        into_patient=target[0],
        into_issuer=target[1],
        note=note,
        at=now(),
        by=by,
    )
    for study in studies:
        follow_merges(study, actor=by)
    _record("patients.merged", merge, by, studies=len(studies))
    return merge


@transaction.atomic
def undo_merge(merge: PatientMerge, *, by: User) -> int:
    """Give every study back that this merge moved, but those that somebody moved or a source corrected since.
    Returns how many. Raises LynceusError 409 where it was undone already."""
    stand_in_line(merge.site, alone=True)
    merge = PatientMerge.objects.select_for_update().get(pk=merge.pk)
    if merge.undone_at is not None:
        raise LynceusError("undone_already", "This merge was undone already.", status=409)
    merge.undone_at, merge.undone_by = now(), by
    merge.save(update_fields=["undone_at", "undone_by"])
    moved = IdentityChange.objects.filter(merge=merge, kind=IdentityChange.Kind.MERGE)
    now_at = merged_into(merge.site, merge.target)  # other merges may have carried it on, or back already
    back = 0
    for study in _locked(moved.values_list("study", flat=True)):
        change = moved.filter(study=study).latest("pk")
        elsewhere = (study.PatientID, study.IssuerOfPatientID) != now_at
        if elsewhere or study.identity_changes.filter(pk__gt=change.pk, kind__in=MOVES).exists():
            continue
        before = {name: change.before[name] for name in PATIENT}
        kind = IdentityChange.Kind.UNMERGE
        change_identity(study, before, kind=kind, by=by, actor=by, merge=merge)
        back += 1
    _record("patients.unmerged", merge, by, studies=back)
    return back


@transaction.atomic
def move_study(study: Study, patient: Patient, *, person: dict[str, str], by: User) -> None:
    """Give one study to another patient. `person` (name, birth date, sex) counts where the site knows
    no study of that patient. Raises LynceusError 409 where it is the same patient."""
    stand_in_line(study.site, alone=True)
    study = Study.objects.select_for_update().get(pk=study.pk)
    if merged_into(study.site, patient) == (study.PatientID, study.IssuerOfPatientID):
        raise LynceusError("same_patient", "The study is this patient's already.", status=409)
    identity = {**{name: person.get(name, "") for name in PERSON}, **as_patient(study.site, patient)}
    change_identity(study, identity, kind=IdentityChange.Kind.MOVE, by=by, actor=by)
    follow_merges(study, actor=by)


def _locked(pks: Iterable[int]) -> list[Study]:
    found = Study.objects.select_for_update(of=("self",)).select_related("site").filter(pk__in=pks)
    return list(found.order_by("pk"))


def _record(action: str, merge: PatientMerge, by: User, *, studies: int) -> None:
    record(action, site=merge.site, actor=by, subject=f"merge:{merge.pk}", detail={"studies": studies})
