"""A domain that freezes three cases, or fails as its name asks."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pandas as pd

from apps.accounts.models import Site, User
from apps.core.clock import now
from apps.modelops.datasets.services.datasets import new_dataset_folder, register_dataset, told_of_base
from apps.modelops.models import DatasetSnapshot

SAID = {"signed reads": 12, "preliminary reads": 3}


def export(
    site: Site, name: str, includes: frozenset[str], by: User, tell: Callable[[int, int], None],
    base: DatasetSnapshot | None,
) -> DatasetSnapshot:  # fmt: skip
    if name == "empty":
        raise ValueError("Nobody has said anything yet.")
    if name == "full":
        raise OSError(28, "No space left on device")
    if name == "odd":
        raise KeyError("a patient")
    tell(1, 3)
    folder = new_dataset_folder(site, "testing", name)
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps(sorted(includes)))
    parts = {"train": 2, "gate": 1}
    summary = {
        "n": 3, "as_of": now().isoformat(), "splits": parts, "parts": {"train": {"films": 2}},
        "provenance": told_of_base(base),
    }  # fmt: skip
    return register_dataset(site=site, domain="testing", name=name, folder=folder, summary=summary, actor=by)


def news(site: Site, since: datetime | None) -> dict[str, int]:
    return SAID if since is None else dict.fromkeys(SAID, 0)


def cases(folder: Path) -> pd.DataFrame:
    """The second one of two datasets has lost a case, gained one, and knows better of a third."""
    rows = {"one": ("train", 1.0), "two": ("train", 0.0), "three": ("test", None)}
    if folder.name != "small":
        rows = {"two": ("train", 1.0), "three": ("gate", None), "four": ("train", 0.0)}
    frame = pd.DataFrame([(case, *row) for case, row in rows.items()], columns=["case", "part", "Mass"])
    return frame
