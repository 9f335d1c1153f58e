"""Films of a frozen dataset, for the pages that compare versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from django.urls import reverse

from apps.modelops.common.places import dataset_folder
from apps.modelops.models import DatasetSnapshot
from apps.modelops.versions.cases import Described, Link
from apps.radiology.models import NOT_REJECTED, Instance
from ml.radiology.png import grey_png

SHOWN = {"meta:view": "View", "meta:sex": "Sex", "meta:age": "Age"}


def described(dataset: DatasetSnapshot, rows: Sequence[int]) -> list[Described]:
    """No patient and no file: only what a film is like."""
    return [
        Described(
            "Film",
            tuple((title, str(row[name])) for name, title in SHOWN.items() if row.get(name)),
            key=str(row["pixel_sha256"]), has_picture=True,
        )
        for row in _rows(dataset, rows, {"pixel_sha256", *SHOWN})
    ]  # fmt: skip


def links(dataset: DatasetSnapshot, keys: Sequence[str]) -> dict[str, Link]:
    """Of the site's own films whose reads went into the dataset."""
    found = Instance.objects.filter(
        NOT_REJECTED, site=dataset.site, study__withdrawn=False, pixel_sha256__in=keys,
        study__reads__frozen_labels__dataset=dataset,
    )  # fmt: skip
    rows = found.order_by("-pk").values_list("pixel_sha256", "study__public_id")
    return {key: Link(reverse("radiology:study", args=[study]), "radiologists") for key, study in rows}


def picture(dataset: DatasetSnapshot, row: int) -> bytes | None:
    """As the dataset keeps it: grey, shrunk, without a header. None for a row it does not have."""
    import numpy as np

    found = _rows(dataset, [row], {"offset", "rows", "columns"})
    if not found:
        return None
    offset, rows, columns = (int(found[0][name]) for name in ("offset", "rows", "columns"))
    with (_folder(dataset) / "pixels.bin").open("rb") as file:
        file.seek(offset)
        pixels = np.frombuffer(file.read(rows * columns), np.uint8)
    return grey_png(pixels.reshape(rows, columns))


def _rows(dataset: DatasetSnapshot, rows: Sequence[int], columns: set[str]) -> list[Mapping[str, Any]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(_folder(dataset) / "films.parquet") as file:
        table = file.read([name for name in file.schema_arrow.names if name.lower() in columns])
    known = [row for row in rows if 0 <= row < table.num_rows]
    found = table.take(known).to_pylist() if known else []
    return [{name.lower(): value for name, value in one.items()} for one in found]


def _folder(dataset: DatasetSnapshot) -> Path:
    return dataset_folder(dataset.site, dataset.domain, dataset.name)
