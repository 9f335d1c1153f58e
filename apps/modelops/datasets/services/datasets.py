"""Enter a frozen dataset folder into the books."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.text import slugify

from apps.accounts.models import Site
from apps.audit.services import Actor, record
from apps.core.errors import LynceusError
from apps.modelops.common import places
from apps.modelops.models import DatasetSnapshot

TOGETHER = "together with"


def new_dataset_folder(site: Site, domain: str, name: str) -> Path:
    """Where to write a new dataset. Raises LynceusError for a bad or taken name."""
    if not name or len(name) > 60 or slugify(name) != name:
        raise LynceusError(
            "invalid_name",
            "A dataset's name is up to 60 lower-case letters, digits, hyphens and underscores.",
            status=422,
        )
    if DatasetSnapshot.objects.filter(site=site, domain=domain, name=name).exists():
        raise _taken(name)
    folder = places.dataset_folder(site, domain, name)
    if folder.exists():
        # An import was cut off after its last file, or the folder is another installation's.
        raise LynceusError(
            "dataset_folder_exists",
            f"{folder} belongs to no dataset here: move it away, or choose another name.",
            status=409,
        )
    return folder


def register_dataset(
    *,
    site: Site,
    domain: str,
    name: str,
    folder: Path,
    summary: Mapping[str, Any],
    actor: Actor = None,
) -> DatasetSnapshot:
    """The folder's manifest is hashed now: training refuses a manifest that changed since."""
    sha256 = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    try:
        with transaction.atomic():
            snapshot = DatasetSnapshot.objects.create(
                site=site, domain=domain, name=name, manifest_sha256=sha256, summary=dict(summary)
            )
            record("dataset.frozen", site=site, actor=actor, subject=f"dataset:{snapshot.pk}")
    except IntegrityError as error:
        raise _taken(name) from error
    return snapshot


def check_unchanged(snapshot: DatasetSnapshot) -> Path:
    """The snapshot's folder, or LynceusError if its manifest is gone or changed."""
    folder = places.dataset_folder(snapshot.site, snapshot.domain, snapshot.name)
    manifest = folder / "manifest.json"
    if (
        not manifest.is_file()
        or hashlib.sha256(manifest.read_bytes()).hexdigest() != snapshot.manifest_sha256
    ):
        raise LynceusError(
            "dataset_changed",
            f"Dataset {snapshot.name!r} is not what was frozen: import it again.",
            status=409,
        )
    return folder


def told_of_base(base: DatasetSnapshot | None) -> dict[str, str]:
    """For the provenance of what is frozen together with it."""
    return {} if base is None else {TOGETHER: base.name}


def _taken(name: str) -> LynceusError:
    return LynceusError(
        "dataset_exists", f"There is a dataset {name!r} already: a frozen one never changes.", status=409
    )
