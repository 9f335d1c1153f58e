"""One instance from its file to its findings: decode apart, gate, predict, store."""

from __future__ import annotations

from datetime import timedelta

import structlog
from django.db import transaction
from django.db.models import F, Q, QuerySet

from apps.core.bell import ring
from apps.core.clock import now
from apps.modelops.selectors import champion
from apps.radiology.decoding import decode_apart
from apps.radiology.inference import Answer, NoAnswer, admits, current_champion, predict
from apps.radiology.limits import file_limits
from apps.radiology.models import NOT_REJECTED, OPEN, Analysis, Finding, Instance, Status
from apps.radiology.services.studies import TASK, sum_up
from apps.radiology.store import clear_incoming, film_path, write_picture
from ml.radiology.contracts import DicomRefused, InstanceHeader
from ml.radiology.dicom import gate, read_header
from ml.radiology.explain import overlay_png
from ml.radiology.isolation import Decoded

log = structlog.get_logger(__name__)
# Far above what a film takes: the decoder has a time limit, the network a fixed amount of arithmetic. The
# worker's solo pool has no time limit of its own.
LEASE = timedelta(minutes=6)
ATTEMPTS_MAX = 5
RING_AFTER = timedelta(seconds=5)
RING_AGAIN = timedelta(minutes=5)  # a long queue, or no worker at all, must not fill the broker with bells
HALF_RECEIVED_S = 24 * 3600.0
BELLS_MAX = 200
NO_MODEL = {
    "no_model": "Waits: no model is in service yet.",
    "model_unreadable": "Waits: the model in service cannot be loaded.",
}


def analyse_instance(pk: int) -> None:
    """Claim, analyse, store. Does nothing where another worker holds the instance or it is done."""
    instance = None if _waits_in_vain(pk) else _claim(pk)
    if instance is None:
        return
    if instance.attempts > ATTEMPTS_MAX:
        _finish(instance, Status.NOT_ANALYSED, "gave_up", "Not analysed: the analysis failed repeatedly.")
        return
    try:
        decoded = decode_apart(film_path(instance.site, instance.file_sha256))
        write_picture(instance.site, instance.file_sha256, decoded.picture)
        header = read_header(film_path(instance.site, instance.file_sha256), file_limits())
    except DicomRefused as error:
        _finish(instance, Status.REFUSED, error.code, error.message)
        return
    except OSError as error:
        # No fault of the film: it stays received, and the sweeper rings for it again after a while.
        log.error("disk_failed", instance=instance.pk, error=type(error).__name__, errno=error.errno)
        _finish(instance, Status.RECEIVED, "disk_failed", "Waits: the film cannot be read from the disk.")
        return
    instance.pixel_sha256 = decoded.image.pixel_sha256
    instance.has_picture = True
    verdict = gate(header)
    if not verdict.accepted:
        _finish(instance, Status.NOT_ANALYSED, verdict.code, verdict.reason)
        return
    _judge(instance, decoded, header)


def _judge(instance: Instance, decoded: Decoded, header: InstanceHeader) -> None:
    model = current_champion()
    if isinstance(model, NoAnswer):
        # Stays received: the sweeper rings again once a model serves.
        _finish(instance, Status.RECEIVED, model.reason, NO_MODEL[model.reason])
        return
    verdict = admits(model, header)
    if verdict.accepted:
        answer = predict(model, decoded.image.pixels)
        verdict = answer.verdict
    if not verdict.accepted:
        _finish(instance, Status.NOT_ANALYSED, verdict.code, verdict.reason)
        return
    _finish(instance, Status.ANALYSED, "", "", answer)


def _waits_in_vain(pk: int) -> bool:
    """Whether it was decoded already, waits for a model, and there still is none."""
    waiting = Instance.objects.filter(pk=pk, status=Status.RECEIVED, reason_code__in=NO_MODEL)
    return waiting.exists() and isinstance(current_champion(), NoAnswer)


def _claim(pk: int) -> Instance | None:
    """Compare and set: of two workers with the same bell one gets the instance."""
    free = Q(status=Status.RECEIVED) | Q(status=Status.ANALYSING, lease_expires_at__lt=now())
    with transaction.atomic():
        claimed = Instance.objects.filter(free, NOT_REJECTED, pk=pk).update(
            status=Status.ANALYSING, attempts=F("attempts") + 1, lease_expires_at=now() + LEASE
        )
        if not claimed:
            return None
        instance = Instance.objects.select_related("study", "site").get(pk=pk)
        sum_up(instance.study_id)
    return instance


@transaction.atomic
def _finish(instance: Instance, status: Status, code: str, reason: str, answer: Answer | None = None) -> None:
    """Store the outcome, unless the claim ran out and another worker has the instance now."""
    # `attempts` starts again after a wait, so the lease's own end tells two claims apart.
    mine = Instance.objects.filter(
        pk=instance.pk,
        status=Status.ANALYSING,
        attempts=instance.attempts,
        lease_expires_at=instance.lease_expires_at,
    )
    # Waiting for a model is no failed attempt.
    attempts = 0 if status == Status.RECEIVED else instance.attempts
    if not mine.update(
        status=status,
        reason_code=code,
        reason=reason[:200],
        pixel_sha256=instance.pixel_sha256,
        has_picture=instance.has_picture,
        attempts=attempts,
        lease_expires_at=None,
        rung_at=now() if code == "disk_failed" else None,
        analysed_at=None if status == Status.RECEIVED else now(),
    ):
        log.warning("analysis_fenced_off", instance=instance.pk)
        return
    if answer is not None:
        _store(instance, answer)
    sum_up(instance.study_id)
    log.info("instance_finished", instance=instance.pk, status=str(status), code=code)


def _store(instance: Instance, answer: Answer) -> None:
    analysis, made = Analysis.objects.get_or_create(
        instance=instance,
        version_id=answer.version_id,
        defaults={"pixel_sha256": instance.pixel_sha256, "at": now()},
    )
    if made:
        Finding.objects.bulk_create(
            Finding(
                analysis=analysis,
                label=finding.label,
                probability=finding.probability,
                operating_point=finding.operating_point,
                positive=finding.positive,
                attention=None if finding.attention is None else overlay_png(finding.attention),
            )
            for finding in answer.findings
        )


def overdue() -> QuerySet[Instance]:
    """Received a while ago, or held by a worker that died. Those that wait for a model wait for one."""
    late = Q(status=Status.RECEIVED, received_at__lt=now() - RING_AFTER)
    if champion("radiology") is None:
        late &= ~Q(reason_code="no_model")
    dead = Q(status=Status.ANALYSING, lease_expires_at__lt=now())
    quiet = Q(rung_at=None) | Q(rung_at__lt=now() - RING_AGAIN)
    return Instance.objects.filter(late | dead, quiet, NOT_REJECTED, status__in=OPEN).order_by("received_at")


def ring_overdue() -> int:
    due = list(overdue().values_list("pk", flat=True)[:BELLS_MAX])
    Instance.objects.filter(pk__in=due).update(rung_at=now())
    for pk in due:
        ring(TASK, pk)
    return len(due)


def clear_half_received() -> int:
    return clear_incoming(HALF_RECEIVED_S)
