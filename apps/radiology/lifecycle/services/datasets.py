"""Films into a dataset of this site: dealt by its own key, without what earlier datasets hold out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.db import transaction

from apps.accounts.models import Site
from apps.audit.services import Actor
from apps.modelops.datasets.services.datasets import register_dataset
from apps.modelops.datasets.services.heldout import cases_held, hold_cases
from apps.modelops.models import DatasetSnapshot
from ml.radiology.splits import Dealing
from ml.radiology.splits import cases_held as cases_to_hold

if TYPE_CHECKING:
    from ml.radiology.importing import FrozenFilms


def dealing_of(site: Site, gate_share: float = 0.0) -> Dealing:
    """The key is no secret, and never changes: another would deal every patient anew."""
    return Dealing(f"parts of {site.slug}".encode(), gate_share, cases_held(site, "radiology"))


@transaction.atomic
def register_films(
    *, site: Site, name: str, folder: Path, made: FrozenFilms, dealing: Dealing, actor: Actor = None,
    more: Mapping[str, Any] | None = None,
) -> DatasetSnapshot:  # fmt: skip
    """`more` goes into the summary. LynceusError for a name that was taken meanwhile."""
    import pandas as pd

    snapshot = register_dataset(
        site=site, domain="radiology", name=name, folder=folder, actor=actor,
        summary={**asdict(made), **(more or {})},
    )  # fmt: skip
    columns = ["patient_id", "pixel_sha256", "given", "split"]
    table = pd.read_parquet(folder / "films.parquet", columns=columns)
    hold_cases(snapshot, cases_to_hold(table, dealing.key))
    return snapshot
