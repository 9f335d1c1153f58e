"""The door for programs that ask what was found. Films come in through DICOMweb."""

from __future__ import annotations

from dataclasses import asdict
from typing import cast

from django.db import transaction
from django.http import HttpRequest
from ninja import Router

from apps.accounts.auth import Caller, caller_of
from apps.accounts.models import Role
from apps.audit.services import record
from apps.core.errors import LynceusError
from apps.radiology.api.schemas import (
    CodeOut,
    FindingOut,
    InstanceOut,
    OrderIn,
    OrderOut,
    PriorityWord,
    StudyOut,
)
from apps.radiology.common.selectors import (
    findings_by_instance,
    findings_of_study,
    instances_of,
    study_by_uid,
    version_of_study,
)
from apps.radiology.models import Finding, Instance, Status, Study
from apps.radiology.studies.changes import identity_in_question
from apps.radiology.studies.reads import may_see_ai
from apps.radiology.studies.services.orders import change_order
from ml.radiology.vocabulary import statement, term_of

router = Router(tags=["radiology"])


def _who_asks(request: HttpRequest) -> Caller:
    """Before the body is looked at: what is wrong with it is nobody else's business."""
    return caller_of(request, scope="radiology", roles=(Role.RADIOLOGIST,))


@router.get("/studies/{study_instance_uid}", response=StudyOut, summary="What was found in one study")
def get_study(request: HttpRequest, study_instance_uid: str) -> StudyOut:
    """`findings` holds the most probable of each label over the study's instances."""
    caller = _who_asks(request)
    with transaction.atomic():
        study = study_by_uid(caller.site, study_instance_uid)
        if study is None:
            raise LynceusError("not_found", "There is no such study.", status=404)
        record(
            "study.viewed", site=caller.site, actor=caller.user or caller.client, subject=f"study:{study.pk}"
        )
        return _study(study, opened=may_see_ai(caller.user, study))


@router.patch(
    "/studies/{study_instance_uid}/order",
    response=OrderOut,
    auth=_who_asks,
    summary="What was ordered, and how soon it is to be read",
)
def patch_order(request: HttpRequest, study_instance_uid: str, order: OrderIn) -> OrderOut:
    """Only what is given changes; the worklist ranks the study anew at once."""
    caller: Caller = request.auth  # type: ignore[attr-defined]
    given = order.model_dump(exclude_unset=True)
    actor = caller.user or caller.client
    return _order(change_order(caller.site, study_instance_uid, given, actor=actor))


def _order(study: Study) -> OrderOut:
    return OrderOut(
        study_instance_uid=study.StudyInstanceUID,
        priority=cast(PriorityWord, study.priority),
        location=study.location,
        clinical_question=study.clinical_question,
    )


def _study(study: Study, *, opened: bool) -> StudyOut:
    """Not `opened`: a person who has not committed their read yet hears that it is withheld."""
    instances = instances_of(study)
    found = findings_by_instance(study) if opened else {}
    best = findings_of_study(study) if opened else []
    return StudyOut(
        study_instance_uid=study.StudyInstanceUID,
        order=_order(study),
        status=study.status,
        reason=_reason(study, instances),
        statement=statement(best) if best else "",
        findings=[_finding(finding) for finding in best],
        instances=[_instance(instance, found.get(instance.pk, [])) for instance in instances],
        model_version=version_of_study(study),
        synthetic=study.synthetic,
        complete_at=study.complete_at,
        identity_in_question=identity_in_question(study),
        withheld=not opened,
    )


def _reason(study: Study, instances: list[Instance]) -> str:
    """Why nothing was found to say, from an instance that came to what the study did; empty if analysed."""
    if study.status == Status.ANALYSED:
        return ""
    reasons = [(one.status != study.status, one.reason) for one in instances if one.reason]
    return min(reasons, default=(False, ""))[1]


def _instance(instance: Instance, said: list[Finding]) -> InstanceOut:
    return InstanceOut(
        sop_instance_uid=instance.SOPInstanceUID,
        status=instance.status,
        reason=instance.reason,
        reason_code=instance.reason_code,
        statement=statement(said) if said else "",
        findings=[_finding(finding) for finding in said],
    )


def _finding(finding: Finding) -> FindingOut:
    term = term_of(finding.label)
    return FindingOut(
        label=finding.label,
        says=term.says,
        code=CodeOut(**asdict(term.code)),
        probability=finding.probability,
        operating_point=finding.operating_point,
        positive=finding.positive,
    )
