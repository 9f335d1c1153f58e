"""What a version's answers cost in processor time, added up by the hour."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from django.db.models import F, Sum

from apps.core.clock import now
from apps.modelops.models import HourlyCost, ModelVersion


@contextmanager
def spent_on(version_id: int, n: int) -> Iterator[None]:
    """Around the answers to `n` cases. Nothing is added where they fail.

    The whole process counts: the network's own threads are part of it, and what else runs beside them is
    little.
    """
    before = time.process_time()
    yield
    if n:
        _add(version_id, n, time.process_time() - before)


def spent_since(version: ModelVersion, since: datetime) -> tuple[int, float]:
    """(cases, processor seconds)."""
    told = HourlyCost.objects.filter(version=version, hour__gte=since).aggregate(n=Sum("n"), s=Sum("cpu_s"))
    return told["n"] or 0, told["s"] or 0.0


def _add(version_id: int, n: int, cpu_s: float) -> None:
    hour = now().replace(minute=0, second=0, microsecond=0)
    of_hour = HourlyCost.objects.filter(version=version_id, hour=hour)
    more = {"n": F("n") + n, "cpu_s": F("cpu_s") + cpu_s}
    if not of_hour.update(**more):
        HourlyCost.objects.bulk_create([HourlyCost(version_id=version_id, hour=hour)], ignore_conflicts=True)
        of_hour.update(**more)
