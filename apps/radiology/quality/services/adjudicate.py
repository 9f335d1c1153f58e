"""Open a case, and settle what is disputed in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.db import transaction

from apps.accounts.models import User
from apps.audit.services import record
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.radiology.models import Adjudication, CaseOpened, Discrepancy, Reason, Study, Verdict
from apps.radiology.quality.discrepancies import disputes_of, is_reader, may_see_case
from apps.radiology.studies.second_reads import gives_second_read
from apps.radiology.studies.services.studies import touch

POINT_MAX = 2000


@dataclass(frozen=True, slots=True)
class Settlement:
    verdict: str
    reason: str
    learning_point: str = ""


@transaction.atomic
def open_case(study: Study, user: User) -> None:
    """From here on a read of the study by this person is not blind. LynceusError 409 second_read_waits."""
    if gives_second_read(user, study):
        raise LynceusError(
            "second_read_waits", "You are asked for a second read of this study: give it first.", status=409
        )
    if not may_see_case(user, study):
        CaseOpened.objects.create(study=study, user=user, at=now())
    record("case.opened", site=study.site, actor=user, subject=f"study:{study.pk}")


@transaction.atomic
def adjudicate(study: Study, user: User, said: Mapping[str, Settlement]) -> int:
    """Settle these findings of the study; what was settled before stands no more. Returns how many.

    LynceusError 409 case_closed (not opened by this person), 422 no_verdict, not_disputed, invalid_verdict,
    invalid_reason, text_too_long.
    """
    touch(study.pk)
    if not may_see_case(user, study):
        raise LynceusError("case_closed", "Open the case first.", status=409)
    if not said:
        raise LynceusError("no_verdict", "Settle at least one finding.", status=422)
    disputed, independent, at = disputes_of(study), not is_reader(user, study), now()
    for label, one in said.items():
        _check(label in disputed, one)
        Adjudication.objects.create(
            study=study, label=label, verdict=one.verdict, reason=one.reason, by=user,
            learning_point=one.learning_point.strip(), independent=independent, at=at,
        )  # fmt: skip
        Discrepancy.objects.filter(study=study, label=label).update(settled_at=at)
    detail = {"findings": len(said), "independent": independent}
    record("case.settled", site=study.site, actor=user, subject=f"study:{study.pk}", detail=detail)
    return len(said)


def _check(disputed: bool, one: Settlement) -> None:
    problems = (
        (not disputed, "not_disputed", "Nobody differs on this finding."),
        (one.verdict not in Verdict.values, "invalid_verdict", "Say present, absent or cannot tell."),
        (one.reason not in Reason.values, "invalid_reason", "Say why they differed."),
        (len(one.learning_point) > POINT_MAX, "text_too_long", f"At most {POINT_MAX:,} characters."),
    )
    for wrong, code, message in problems:
        if wrong:
            raise LynceusError(code, message, status=422)
