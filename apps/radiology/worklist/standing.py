"""Reads: how many studies wait, and whether the model keeps up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from apps.accounts.models import Site
from apps.core.clock import now
from apps.modelops.common.selectors import champion
from apps.radiology.models import NOT_REJECTED, OPEN, TO_READ, Instance, Study

COUNT_MAX = 10_000  # nobody reads a larger number, and counting on would take longer with every study
LAG = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Standing:
    """How many studies wait, `COUNT_MAX` for more, and whether the model keeps up."""

    to_read: int
    under_way: int
    films_waiting: int
    oldest_at: datetime | None
    has_model: bool

    @property
    def lags(self) -> bool:
        return self.oldest_at is not None


def standing_at(site: Site) -> Standing:
    waiting = Study.objects.filter(TO_READ, site=site)
    films = Instance.objects.filter(NOT_REJECTED, site=site, status__in=OPEN).order_by("received_at")
    late = films.filter(received_at__lt=now() - LAG)
    oldest = late.values_list("received_at", flat=True).first()
    return Standing(
        to_read=_count(waiting),
        under_way=_count(waiting.filter(status__in=OPEN)),
        films_waiting=_count(films) if oldest else 0,
        oldest_at=oldest,
        has_model=champion("radiology") is not None,
    )


def _count(rows: QuerySet[Any]) -> int:
    return rows.order_by().values("pk")[:COUNT_MAX].count()
