"""Store what became of films that a worker had claimed, many in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from django.db import transaction

from apps.core.clock import now
from apps.radiology.analysis.inference import Answer
from apps.radiology.models import Analysis, Finding, Instance, Status
from apps.radiology.studies.services.studies import sum_up
from ml.radiology.explain import overlay_png

log = structlog.get_logger(__name__)
FIELDS = (
    "status", "reason_code", "reason", "pixel_sha256", "has_picture", "attempts", "lease_expires_at",
    "held_by", "rung_at", "analysed_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an instance; `answer` where a model judged it."""

    instance: Instance
    status: Status
    code: str = ""
    reason: str = ""
    answer: Answer | None = None


@transaction.atomic
def finish(outcomes: Sequence[Outcome]) -> None:
    """Store them, but those whose claim ran out: another worker has the instance now."""
    claims = {one.instance.pk: one.instance.held_by for one in outcomes}
    held = Instance.objects.filter(pk__in=claims, status=Status.ANALYSING)
    # Films before their studies, and both in the order in which everybody locks them.
    locked = held.select_for_update().order_by("study_id", "pk").values_list("pk", "held_by")
    mine = {pk for pk, held_by in locked if held_by == claims[pk]}
    kept = [one for one in outcomes if one.instance.pk in mine]
    for one in outcomes:
        if one.instance.pk not in mine:
            log.warning("analysis_fenced_off", instance=one.instance.pk)
    for one in kept:
        _fill(one)
        one.instance.save(update_fields=FIELDS)  # Django's bulk_update takes four times as long
    _store([one for one in kept if one.answer is not None])
    sum_up(*{one.instance.study_id for one in kept})
    for one in kept:
        log.info("instance_finished", instance=one.instance.pk, status=str(one.status), code=one.code)


def _fill(one: Outcome) -> None:
    instance, waits = one.instance, one.status == Status.RECEIVED
    instance.status, instance.reason_code, instance.reason = one.status, one.code, one.reason[:200]
    instance.lease_expires_at, instance.held_by = None, ""
    instance.rung_at = now() if one.code == "disk_failed" else None
    instance.analysed_at = None if waits else now()
    if waits:  # for a model, say: that is no failed attempt
        instance.attempts = 0


def _store(judged: Sequence[Outcome]) -> None:
    """Once for an instance and a version: their rows are locked, so nobody else adds one now."""
    pks = [one.instance.pk for one in judged]
    there = set(Analysis.objects.filter(instance__in=pks).values_list("instance_id", "version_id"))
    at, made = now(), []
    for one in judged:
        instance, answer = one.instance, one.answer
        if answer is not None and (instance.pk, answer.version_id) not in there:
            analysis = Analysis(
                instance=instance, version_id=answer.version_id, variant=answer.form,
                pixel_sha256=instance.pixel_sha256, at=at,
            )  # fmt: skip
            made.append((analysis, answer))
    Analysis.objects.bulk_create(analysis for analysis, _ in made)
    Finding.objects.bulk_create(
        Finding(
            analysis=analysis,
            label=finding.label,
            probability=finding.probability,
            operating_point=finding.operating_point,
            positive=finding.positive,
            attention=None if finding.attention is None else overlay_png(finding.attention),
        )
        for analysis, answer in made
        for finding in answer.findings
    )
