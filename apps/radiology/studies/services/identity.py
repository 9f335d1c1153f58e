"""Change whose a study is, and keep what it was. A patient is a PatientID and its issuer, never a name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apps.accounts.models import Site, User
from apps.audit.services import Actor, record
from apps.core.clock import now
from apps.radiology.common.headers import IDENTITY
from apps.radiology.models import SIGNED, IdentityChange, PatientMerge, Study

Patient = tuple[str, str]
# What is a patient's own; the age is of the day of the study.
PERSON = ("PatientName", "PatientBirthDate", "PatientSex")
MERGES_MAX = 20  # one after the other


def change_identity(
    study: Study,
    identity: Mapping[str, Any],
    *,
    kind: str,
    by: User | None,
    actor: Actor,
    sender: str = "",
    merge: PatientMerge | None = None,
) -> None:
    """Give a study, locked by the caller, these values of `headers.IDENTITY`. The same ones are no change."""
    before = {name: getattr(study, name) for name in IDENTITY}
    after = {**before, **identity}
    fields = [name for name in IDENTITY if before[name] != after[name]]
    if not fields:
        return
    for name in fields:
        setattr(study, name, after[name])
    study.changed_at = now()
    study.save(update_fields=[*fields, "changed_at"])
    IdentityChange.objects.create(
        site_id=study.site_id, study=study, kind=kind, before=before, after=after, at=now(), by=by,
        sender=sender, merge=merge,
    )  # fmt: skip
    # Names of attributes, never what they hold: the audit is read by people who may not know the patient.
    detail = {"kind": str(kind), "fields": fields, "sender": sender}
    subject = f"study:{study.pk}"
    record("study.identity_changed", site=study.site, actor=actor, subject=subject, detail=detail)
    for read_id in study.reads.filter(state__in=SIGNED).values_list("pk", flat=True):
        # It stays flagged until its reader adds to it or retracts it.
        record("read.flagged", site=study.site, actor=actor, subject=subject, detail={"read": read_id})


def may_join(study: Study, identity: Mapping[str, Any]) -> bool:
    """Whether a film with this identity belongs to the study: the current one, one it had before, for a
    modality may go on sending what its worklist said, or one that was merged into the current one."""
    sent = _patient_in(identity)
    current = (study.PatientID, study.IssuerOfPatientID)
    if current == sent or current == merged_into(study.site, sent):
        return True
    return any(
        sent == _patient_in(before) for before in study.identity_changes.values_list("before", flat=True)
    )


def follow_merges(study: Study, *, actor: Actor) -> None:
    """Give a study, locked by the caller, to whom its patient was merged into."""
    for _ in range(MERGES_MAX):
        merge = merge_of(study.site, (study.PatientID, study.IssuerOfPatientID))
        if merge is None:
            return
        kind = IdentityChange.Kind.MERGE
        change_identity(
            study, as_patient(study.site, merge.target), kind=kind, by=merge.by, actor=actor, merge=merge
        )


def as_patient(site: Site, patient: Patient) -> dict[str, str]:
    """The identity of a patient: number and issuer, and name, birth date and sex of the latest study here."""
    identity = {"PatientID": patient[0], "IssuerOfPatientID": patient[1]}
    known = studies_of(site, patient).order_by("-received_at").first()
    return identity | ({name: getattr(known, name) for name in PERSON} if known else {})


def studies_of(site: Site, patient: Patient) -> Any:
    return Study.objects.filter(site=site, PatientID=patient[0], IssuerOfPatientID=patient[1])


def merge_of(site: Site, patient: Patient) -> PatientMerge | None:
    """The merge in force of this patient into another."""
    found = PatientMerge.objects.filter(site=site, undone_at=None)
    return found.filter(from_patient=patient[0], from_issuer=patient[1]).first()


def merged_into(site: Site, patient: Patient) -> Patient:
    """Whose number counts, after all merges in force."""
    for _ in range(MERGES_MAX):
        merge = merge_of(site, patient)
        if merge is None:
            break
        patient = merge.target
    return patient


def _patient_in(identity: Mapping[str, Any]) -> Patient:
    return identity["PatientID"], identity["IssuerOfPatientID"]
