"""What tested, or stood at the gate, in a dataset is remembered, so that no later one teaches on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from apps.accounts.models import Site
from apps.modelops.models import DatasetSnapshot, HeldOutCase, HeldOutPeriod

BATCH = 2000


def cases_held(site: Site, domain: str) -> dict[str, str]:
    """The part of each case, by its key."""
    held = HeldOutCase.objects.filter(site=site, domain=domain)
    return dict(held.values_list("key", "part").iterator(BATCH))


def hold_cases(snapshot: DatasetSnapshot, cases: Mapping[str, str]) -> None:
    """A case that an earlier dataset holds keeps the part it has there. Within the caller's transaction."""
    rows = (
        HeldOutCase(site_id=snapshot.site_id, domain=snapshot.domain, key=key, part=part, dataset=snapshot)
        for key, part in cases.items()
    )
    HeldOutCase.objects.bulk_create(rows, batch_size=BATCH, ignore_conflicts=True)


def periods_held(site: Site, domain: str, stream: str) -> list[tuple[str, datetime, datetime]]:
    """(part, begins, ends) of one stream, the earliest first."""
    held = HeldOutPeriod.objects.filter(site=site, domain=domain, stream=stream)
    return list(held.order_by("begins_at", "pk").values_list("part", "begins_at", "ends_at"))


def hold_periods(
    snapshot: DatasetSnapshot, stream: str, periods: Iterable[tuple[str, datetime, datetime]]
) -> None:
    """Those an earlier dataset set aside already are left as they are. Within the caller's transaction."""
    HeldOutPeriod.objects.bulk_create(
        (
            HeldOutPeriod(
                site_id=snapshot.site_id, domain=snapshot.domain, stream=stream, part=part,
                begins_at=begins, ends_at=ends, dataset=snapshot,
            )
            for part, begins, ends in periods
        ),
        ignore_conflicts=True,
    )  # fmt: skip
