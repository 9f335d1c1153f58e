"""Payments into a dataset of this site: split by time, without what earlier datasets hold out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import transaction

from apps.accounts.models import Site, User
from apps.audit.services import Actor
from apps.core.clock import now
from apps.fraud.lifecycle.services.frozen import decided_frame
from apps.fraud.models import FraudLabel
from apps.modelops.datasets.services.datasets import (
    check_unchanged,
    new_dataset_folder,
    register_dataset,
    told_of_base,
)
from apps.modelops.datasets.services.heldout import hold_periods, periods_held
from apps.modelops.models import DatasetSnapshot

if TYPE_CHECKING:
    import pandas as pd

    from ml.fraud.splits import Period

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MATURE = timedelta(days=60)
ALL = frozenset({"analyst", "outside", "silence"})
WHOSE = {"analyst": "analyst", "": "silence"}  # whoever else speaks is outside


def export_decided(
    site: Site, name: str, includes: frozenset[str], by: User, tell: Callable[[int, int], None],
    base: DatasetSnapshot | None = None,
) -> DatasetSnapshot:  # fmt: skip
    """As the form on the models page asks. Raises as `freeze_decided`."""
    return freeze_decided(site, name, MATURE, includes=includes, actor=by, tell=tell, base=base)


def freeze_decided(
    site: Site, name: str, mature: timedelta, *, includes: frozenset[str] = ALL, actor: Actor = None,
    tell: Callable[[int, int], None] | None = None, base: DatasetSnapshot | None = None,
) -> DatasetSnapshot:  # fmt: skip
    """What the site decided. `includes`: analyst, outside (whose word counts), silence (of a mature payment);
    what the others say leaves a payment unknown. Where silence counts, what is not mature yet waits: of it
    only frauds are known. `base`: whose payments come too.

    Raises LynceusError for a bad or taken name, ValueError where nothing was decided.
    """
    from ml.fraud.joining import held_by, joined

    new_dataset_folder(site, "fraud", name)  # a taken name is said before anything is read
    as_of = now()
    frame = decided_frame(site, mature, tell)
    whose = frame["label_source"].map(lambda source: WHOSE.get(source, "outside"))
    frame.loc[~whose.isin(includes), "fraud"] = None
    more = {"from": "decisions", "as_of": as_of.isoformat(), "included": sorted(includes)}
    provenance = {"analysts": _authors(site), **told_of_base(base)}
    held: list[Period] = []
    if base is not None:
        folder = check_unchanged(base)
        frame, held = joined(frame, folder), held_by(folder)
    return freeze_payments(
        site, name, frame, actor=actor, more=more, provenance=provenance, held=held,
        until=as_of - mature if "silence" in includes else None,
    )  # fmt: skip


def _authors(site: Site) -> int:
    """How many analysts spoke."""
    said = FraudLabel.objects.filter(transaction__source__site=site, disposition__isnull=False)
    return said.values("disposition__by").distinct().count()


def freeze_payments(
    site: Site, name: str, frame: pd.DataFrame, *, stream: str = "", actor: Actor = None,
    more: Mapping[str, Any] | None = None, provenance: Mapping[str, Any] | None = None,
    held: Sequence[Period] = (), until: datetime | None = None,
) -> DatasetSnapshot:  # fmt: skip
    """Canonical rows in time order. `stream` names payments that are not the site's own (simulated, or a
    published set): only its own datasets hold its time out, and those in `held`. `more` goes into the
    summary, `provenance` to what the rows say of whose the labels are. What came after `until` waits.

    Raises LynceusError for a bad or taken name.
    """
    import pandas as pd

    from ml.fraud.importing import freeze_frame, periods_of

    folder = new_dataset_folder(site, "fraud", name)
    held = [*held_of(site, stream), *held]
    end = None if until is None else pd.Timestamp(until)
    frozen = freeze_frame(frame, folder, name, settings.TIME_ZONE, held, provenance, end)
    with transaction.atomic():
        snapshot = register_dataset(
            site=site, domain="fraud", name=name, folder=folder, actor=actor,
            summary={**asdict(frozen), **(more or {})},
        )  # fmt: skip
        aside = (one for one in periods_of(folder) if one.part in ("test", "gate"))
        hold_periods(snapshot, stream, ((one.part, _at(one.begins_us), _at(one.ends_us)) for one in aside))
    return snapshot


def held_of(site: Site, stream: str) -> list[Period]:
    """Test and gate of the stream's earlier datasets."""
    from ml.fraud.splits import Period

    held = periods_held(site, "fraud", stream)
    return [Period(part, _us(begins), _us(ends)) for part, begins, ends in held]


def _at(us: int) -> datetime:
    return EPOCH + timedelta(microseconds=us)


def _us(at: datetime) -> int:
    return (at - EPOCH) // timedelta(microseconds=1)
