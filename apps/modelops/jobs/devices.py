"""Which device a job trains on, and the slot that stands for it: one running job holds a slot at a time."""

from __future__ import annotations

from django.conf import settings

from apps.modelops.models import TrainingJob
from ml.common.devices import expected_device


def slot_for(job: TrainingJob) -> str:
    """Of the one device its holder on this host would use, as host/kind:index; empty for the processor."""
    kind = expected_device(_wanted(job))
    return "" if kind == "cpu" else f"{settings.LYNCEUS_DEVICE_HOST}/{kind}:0"


def device_of(job: TrainingJob) -> str:
    """What the trainer is told: nothing but the processor to who holds no slot."""
    return _wanted(job) if job.device_slot else "cpu"


def _wanted(job: TrainingJob) -> str:
    return str(settings.LYNCEUS_DEVICE) if job.device == TrainingJob.Device.AUTO else job.device
