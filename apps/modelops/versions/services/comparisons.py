"""Versions beside each other: worked out by a worker, once, and read from a file by every page after."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import structlog

from apps.core.bell import ring
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.modelops.common import places
from apps.modelops.common.selectors import artefact_dir
from apps.modelops.models import ModelVersion
from apps.modelops.registry import Domain, domain_named, load
from apps.modelops.versions.cases import described
from ml.common.artefact import Artefact, ArtefactError, open_artefact, read_manifest
from ml.common.comparing import compare
from ml.common.scored import FILE, Scored

log = structlog.get_logger(__name__)
FORMAT = 1  # grows when the file says other things
LEAST, MOST = 2, 4


def in_order(versions: Sequence[ModelVersion]) -> list[ModelVersion]:
    """The one all are compared with first: that in service, else the oldest. Raises LynceusError for versions
    that cannot stand beside each other."""
    if not LEAST <= len(versions) <= MOST:
        raise LynceusError("invalid_versions", f"Choose {LEAST} to {MOST} versions to compare.", status=422)
    if len({one.model_id for one in versions}) > 1:
        raise LynceusError("invalid_versions", "Versions of one domain can be compared.", status=422)
    if elsewhere := [one for one in versions if one.tested_on is None]:
        raise LynceusError(
            "invalid_versions",
            f"Version {elsewhere[0].number} was tested elsewhere, on cases that are not here: the gate holds"
            " it against the champion.",
            status=422,
        )
    return sorted(versions, key=lambda one: (one.model.champion_id != one.pk, one.number))


def without_scores(versions: Iterable[ModelVersion]) -> list[ModelVersion]:
    """Those whose artefact keeps no test scores, or cannot be read."""
    return [one for one in versions if FILE not in _files(one)]


def comparison_of(versions: Sequence[ModelVersion]) -> dict[str, Any] | None:
    """What the versions, in their order, came to; None where it was not worked out yet."""
    try:
        found: dict[str, Any] = json.loads(_file(versions).read_text())
    except (FileNotFoundError, ValueError):
        return None
    return found


def ask_for(versions: Sequence[ModelVersion]) -> None:
    """Ring for a worker, unless there is a result that is no failure."""
    told = comparison_of(versions)
    if told is None or "error" in told:
        _file(versions).unlink(missing_ok=True)
        ring("modelops.compare_versions", *(one.pk for one in versions))


def work_out(version_ids: Sequence[int]) -> None:
    """For the worker. What fails for the versions' own sake is written down as the result."""
    found = ModelVersion.objects.filter(pk__in=version_ids).select_related("model", "dataset__site")
    versions = in_order(list(found))
    if comparison_of(versions) is not None:
        return
    try:
        told = _worked_out(versions)
    except ArtefactError as error:
        log.warning("comparison_failed", versions=list(version_ids), code=error.code)
        told = {"error": {"code": f"artefact_{error.code}", "message": error.message}}
    _write(_file(versions), told)


def _worked_out(versions: Sequence[ModelVersion]) -> dict[str, Any]:
    domain = domain_named(versions[0].model.domain)
    opened = [open_artefact(artefact_dir(one), one.artefact_hash, kind=domain.name) for one in versions]
    told = compare([Scored.from_bytes(one.path(FILE).read_bytes()) for one in opened])
    for version, each in zip(versions, told["versions"], strict=False):
        flipped = each.get("flips", [])
        said = described(domain, version.dataset, [flip["row"] for flip in flipped])
        for flip, case in zip(flipped, said, strict=True):
            flip["case"] = asdict(case)
    speeds = [_speed(domain, one) for one in opened]
    return {**told, "speeds": speeds, "host": platform.node(), "at": now().isoformat()}


def _speed(domain: Domain, artefact: Artefact) -> dict[str, float]:
    """One after the other in one process, so that they can be set beside each other."""
    size = sum(path.stat().st_size for path in artefact.folder.iterdir()) / 1e6
    measured = load(domain.speed)(artefact.folder, artefact.artefact_hash) if domain.speed else {}
    return {"mb": size, **measured}


def _files(version: ModelVersion) -> dict[str, Any]:
    try:
        return dict(read_manifest(artefact_dir(version), version.artefact_hash)["files"])
    except ArtefactError:
        return {}


def _file(versions: Sequence[ModelVersion]) -> Path:
    told = json.dumps([FORMAT, *(one.artefact_hash for one in versions)])
    return places.comparison_file(hashlib.sha256(told.encode()).hexdigest()[:32])


def _write(path: Path, told: dict[str, Any]) -> None:
    """Whole or not at all: a page may look at any moment."""
    temporary = path.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps(told, allow_nan=False))
    os.replace(temporary, path)
