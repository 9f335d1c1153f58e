"""Where datasets, artefacts and jobs lie on disk, under VAR, readable by this installation's user only."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

from apps.accounts.models import Site


def dataset_folder(site: Site, domain: str, name: str) -> Path:
    return _private("datasets") / site.slug / domain / name


def artefact_folder(artefact_hash: str) -> Path:
    return _private("artefacts") / artefact_hash


def job_folder(job_id: int) -> Path:
    return _private("jobs") / str(job_id)


def checkpoint_folder(job_id: int) -> Path:
    """What a job that was cut off goes on from; films may lie in it, so it goes when the job fails."""
    return job_folder(job_id) / "checkpoints"


def _private(name: str) -> Path:
    folder = Path(settings.VAR_DIR) / name
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
