"""Keep a study's summary in step with its instances."""

from __future__ import annotations

from apps.core.clock import now
from apps.radiology.models import NOT_REJECTED, OPEN, Status, Study
from apps.radiology.selectors import findings_of_study

TASK = "radiology.analyse_instance"


def sum_up(study_id: int) -> None:
    """Status and what raises it, from the instances. Call inside the transaction that changed one."""
    study = Study.objects.select_for_update().get(pk=study_id)
    statuses = list(study.instances.filter(NOT_REJECTED).values_list("status", flat=True))
    # One whose last film moved away is withdrawn too: there is nothing of it left to read.
    study.withdrawn = not statuses
    study.status = _status(statuses)
    positive = [finding for finding in findings_of_study(study) if finding.positive]
    study.raised_by = [finding.label for finding in positive]
    study.raised = bool(positive)
    study.changed_at = now()
    study.save(update_fields=["status", "withdrawn", "raised", "raised_by", "changed_at"])


def touch(study_id: int) -> None:
    """Open pages and the worklist show the study anew. It is locked until the transaction ends."""
    Study.objects.select_for_update().get(pk=study_id)
    Study.objects.filter(pk=study_id).update(changed_at=now())


def _status(statuses: list[str]) -> str:
    """Under way while any instance is; else the best of what its instances came to."""
    if any(status in OPEN for status in statuses):
        untouched = all(status == Status.RECEIVED for status in statuses)
        return Status.RECEIVED if untouched else Status.ANALYSING
    for status in (Status.ANALYSED, Status.NOT_ANALYSED):
        if status in statuses:
            return status
    return Status.REFUSED
