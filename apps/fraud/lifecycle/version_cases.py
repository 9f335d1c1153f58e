"""Payments of a frozen dataset, for the pages that compare versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.urls import reverse

from apps.fraud.common.money import REPORTING_CURRENCY, format_minor
from apps.fraud.models import Decision
from apps.modelops.common.places import dataset_folder
from apps.modelops.models import DatasetSnapshot
from apps.modelops.versions.cases import Described, Link

SHOWN = {
    "type": "Type", "channel": "Channel", "entry_mode": "Entry", "country": "Country", "mcc": "MCC",
    "scenario": "Scenario",
}  # fmt: skip
SAYS_NOTHING = ("", "unknown", "0000", "authorization")


def described(dataset: DatasetSnapshot, rows: Sequence[int]) -> list[Described]:
    """No card and no merchant: only what an event is like."""
    import pyarrow.parquet as pq

    place = dataset_folder(dataset.site, dataset.domain, dataset.name) / "events.parquet"
    with pq.ParquetFile(place) as file:
        wanted = {"event_id", "occurred_at", "amount_minor", "currency", *SHOWN}
        table = file.read([name for name in file.schema_arrow.names if name in wanted])
    return [_described(one) for one in table.take(list(rows)).to_pylist()]


def _described(row: Mapping[str, Any]) -> Described:
    facts = [("At", f"{row['occurred_at']:%Y-%m-%d %H:%M} UTC")]
    facts += [
        (title, str(row[name]).replace("_", " "))
        for name, title in SHOWN.items()
        if str(row.get(name) or "") not in SAYS_NOTHING
    ]
    # Datasets hold amounts in the reporting currency, whatever the payment's own was.
    title = f"Payment of {format_minor(row['amount_minor'], REPORTING_CURRENCY)}"
    return Described(title, tuple(facts), key=str(row["event_id"]))


def links(dataset: DatasetSnapshot, keys: Sequence[str]) -> dict[str, Link]:
    """Of the site's own decisions alone."""
    found = Decision.objects.filter(transaction__source__site=dataset.site, transaction__event_id__in=keys)
    rows = found.order_by("-pk").values_list("transaction__event_id", "public_id")
    return {key: Link(reverse("fraud:decision", args=[made]), "fraud analysts") for key, made in rows}
