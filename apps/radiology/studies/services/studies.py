"""Keep a study's summary in step with its instances."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db.models import QuerySet

from apps.core.clock import now
from apps.radiology.common.selectors import strongest_findings
from apps.radiology.models import (
    NOT_REJECTED,
    OPEN,
    SIGNED,
    Instance,
    Priority,
    ReadState,
    Status,
    Study,
    rank_of,
)
from apps.radiology.studies.second_reads import second_read_is_due

TASK = "radiology.analyse_instance"
_FURTHER = ["", *ReadState.values]


def sum_up(*study_ids: int) -> None:
    """Status and what raises it, from the instances. Call inside the transaction that changed one."""
    studies = list(_locked(study_ids))
    statuses: dict[int, list[str]] = {study.pk: [] for study in studies}
    used = Instance.objects.filter(NOT_REJECTED, study__in=statuses)
    for study_id, status in used.values_list("study_id", "status"):
        statuses[study_id].append(status)
    found = strongest_findings(list(statuses))
    for study in studies:
        # One whose last film moved away is withdrawn too: there is nothing of it left to read.
        study.withdrawn = not statuses[study.pk]
        study.status = _status(statuses[study.pk])
        positive = [finding for finding in found[study.pk] if finding.positive]
        study.raised_by = [finding.label for finding in positive]
        study.raised = bool(positive)
        study.rank_at = place_of(study)
        study.changed_at = now()
        study.save(update_fields=["status", "withdrawn", "raised", "raised_by", "rank_at", "changed_at"])


def sum_up_reads(study: Study) -> None:
    """The furthest its reads have come, and whether a second reader is asked for. Call inside the transaction
    that changed a read."""
    study = _locked([study.pk]).get()
    states = study.reads.exclude(state=ReadState.RETRACTED).values_list("state", flat=True)
    begun = ReadState.RETRACTED if study.reads.exists() else ""
    study.read_state = max(states, key=_FURTHER.index, default=begun)
    study.second_read_due = second_read_is_due(study)
    study.rank_at, study.changed_at = place_of(study), now()
    study.save(update_fields=["read_state", "second_read_due", "rank_at", "changed_at"])


def place_of(study: Study) -> datetime:
    """Its `rank_at`. One that is signed and waits for a second reader alone stands where a routine study does
    that came when that was asked for: whatever was ordered of it, the first read has answered."""
    if study.second_read_due and study.read_state in SIGNED and not study.late_films:
        asked = study.second_reads.latest("at").at
        return rank_of(asked, Priority.ROUTINE, raised=False)
    return rank_of(study.received_at, study.priority, raised=study.raised)


def under_way(study_ids: Collection[int]) -> None:
    """As `sum_up` where a worker has just taken an instance of each, and nothing else changed."""
    locked = list(_locked(study_ids).values_list("pk", flat=True))
    Study.objects.filter(pk__in=locked).update(status=Status.ANALYSING, changed_at=now())


def _locked(study_ids: Collection[int]) -> QuerySet[Study]:
    """In the order of their keys, as everybody locks them."""
    return Study.objects.select_for_update().filter(pk__in=study_ids).order_by("pk")


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
