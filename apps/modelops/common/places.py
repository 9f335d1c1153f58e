"""Where datasets, artefacts and jobs lie on disk, under VAR, readable by this installation's user only."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

from apps.accounts.models import Site
from ml.common.contracts import SCRATCH


def dataset_folder(site: Site, domain: str, name: str) -> Path:
    return _private("datasets") / site.slug / domain / name


def artefact_folder(artefact_hash: str) -> Path:
    return _private("artefacts") / artefact_hash


def job_folder(job_id: int) -> Path:
    return _private("jobs") / str(job_id)


def checkpoint_folder(job_id: int) -> Path:
    """What a job that was cut off, paused, cancelled or failed goes on from."""
    return job_folder(job_id) / "checkpoints"


def gate_log(run_id: int) -> Path:
    """What a gate run's process said."""
    return _private("gates") / f"{run_id}.txt"


def scratch_folder(job_id: int) -> Path:
    """What a run lays out for itself, films among it; it goes when the run ends, however it does."""
    return checkpoint_folder(job_id) / SCRATCH


def half_made(job_id: int) -> list[Path]:
    """Artefacts that a run wrote, or began to, and that no version is of."""
    folder = job_folder(job_id)
    return [*folder.glob("output-*"), *folder.glob(".artefact-*")]


def unpacked() -> Path:
    """Where archives are unpacked before they are believed."""
    return _private("imports")


def comparison_file(key: str) -> Path:
    """What versions came to beside each other; can be made again at any time."""
    return _private("comparisons") / f"{key}.json"


def _private(name: str) -> Path:
    folder = Path(settings.VAR_DIR) / name
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
