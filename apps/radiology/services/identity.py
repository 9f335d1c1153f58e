"""Change whose a study is, and keep what it was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apps.accounts.models import User
from apps.audit.services import Actor, record
from apps.core.clock import now
from apps.radiology.headers import IDENTITY
from apps.radiology.models import IdentityChange, Study


def change_identity(
    study: Study, identity: Mapping[str, Any], *, kind: str, by: User | None, actor: Actor, sender: str = ""
) -> None:
    """Give a study, locked by the caller, these values of `headers.IDENTITY`. The same ones are no change."""
    before = {name: getattr(study, name) for name in IDENTITY}
    after = {**before, **identity}
    fields = [name for name in IDENTITY if before[name] != after[name]]
    if not fields:
        return
    for name in fields:
        setattr(study, name, after[name])
    study.save(update_fields=fields)
    IdentityChange.objects.create(
        site_id=study.site_id,
        study=study,
        kind=kind,
        before=before,
        after=after,
        at=now(),
        by=by,
        sender=sender,
    )
    # Names of attributes, never what they hold: the audit is read by people who may not know the patient.
    detail = {"kind": str(kind), "fields": fields, "sender": sender}
    record("study.identity_changed", site=study.site, actor=actor, subject=f"study:{study.pk}", detail=detail)


def may_join(study: Study, identity: Mapping[str, Any]) -> bool:
    """Whether a film with this identity belongs to the study: the current one, or one it had before, for a
    modality may go on sending what its worklist said. Identity is PatientID and issuer, never the name."""
    key = _key(identity)
    if key == (study.PatientID, study.IssuerOfPatientID):
        return True
    return any(key == _key(before) for before in study.identity_changes.values_list("before", flat=True))


def _key(identity: Mapping[str, Any]) -> tuple[str, str]:
    return identity["PatientID"], identity["IssuerOfPatientID"]
