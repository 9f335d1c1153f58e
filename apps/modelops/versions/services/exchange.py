"""A version leaves as one signed archive, and one that comes so is a candidate like any other."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import Max

from apps.accounts.models import Site, User
from apps.audit.services import record
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.core.storage import refuse_when_storage_is_low
from apps.modelops.common import places
from apps.modelops.common.selectors import artefact_dir, origin_of
from apps.modelops.models import DatasetSnapshot, ImportedVersion, Model, ModelVersion
from apps.modelops.registry import domain_named
from apps.modelops.versions.archive import CARD, FOLDER, Source, Statement, archived, unpack
from apps.modelops.versions.archive_keys import own_key
from apps.modelops.versions.card_text import markdown_of
from apps.modelops.versions.cards import card_of
from ml.common.artefact import ArtefactError, open_artefact

MIB = 1024 * 1024
LEFT_BEHIND = timedelta(hours=1)  # by an import that was killed


def export_version(version: ModelVersion, *, by: User | None, site: Site) -> Iterator[bytes]:
    """The archive, piece by piece. LynceusError 409 for an artefact that is not whole, or without a key."""
    folder = artefact_dir(version)
    try:
        open_artefact(folder, version.artefact_hash, kind=version.model.domain)
    except ArtefactError as error:
        raise LynceusError(f"artefact_{error.code}", error.message, status=409) from error
    if not own_key():
        raise LynceusError(
            "archive_key_missing", "Archives are signed: set LYNCEUS_ARCHIVE_KEY first.", status=409
        )
    files: dict[str, Path | bytes] = {FOLDER + path.name: path for path in folder.iterdir()}
    files[CARD] = markdown_of(card_of(version)).encode()
    told = {
        "domain": version.model.domain, "artefact_hash": version.artefact_hash, "facts": _facts(version),
    }  # fmt: skip
    record("version.exported", site=site, actor=by, subject=f"version:{version.pk}")
    return archived(told, files)


def _facts(version: ModelVersion) -> dict[str, object]:
    """Of one that was imported itself: where it first came from."""
    origin, job, dataset = origin_of(version), version.job, version.dataset
    if origin is not None:
        known = {
            "name": origin.dataset_name, "manifest_sha256": origin.dataset_sha256,
            "summary": origin.dataset_summary,
        }  # fmt: skip
    else:
        known = {
            "name": dataset.name, "manifest_sha256": dataset.manifest_sha256, "summary": dataset.summary,
        }  # fmt: skip
    trained = {"preset": job.preset, "params": job.params, "seed": job.seed} if job else None
    return {
        "number": origin.number if origin else version.number,
        "variant": version.variant,
        "made_at": (origin.made_at if origin else version.created_at).isoformat(),
        "metrics": version.metrics,
        "dataset": known,
        "training": trained or (origin.training if origin else {}),
    }


def import_version(
    source: Source, *, domain: str, judged_by: DatasetSnapshot, by: User | None
) -> ModelVersion:
    """A candidate of `domain`, held at the gate against the locked part of `judged_by`, a dataset of the
    site; or of the very dataset it learnt from, where the site has that.

    LynceusError as `archive.unpack`, and unknown_domain, other_domain, version_exists, artefact_...,
    storage_low, disk_failed.
    """
    refuse_when_storage_is_low()
    domain_named(domain)
    _forget_left_behind()
    with tempfile.TemporaryDirectory(dir=places.unpacked()) as name:
        try:
            statement = unpack(source, Path(name), max_bytes=settings.LYNCEUS_UPLOAD_MAX_MB * MIB)
            _require_domain(statement, domain)
            made = Path(name, FOLDER)
            open_artefact(made, statement.artefact_hash, kind=domain)
            return _entered(statement, made, judged_by, by)
        except ArtefactError as error:
            raise LynceusError(f"artefact_{error.code}", error.message, status=422) from error
        except OSError as error:
            said = error.strerror or type(error).__name__
            raise LynceusError("disk_failed", f"The disk refused: {said}.", status=507) from error


@transaction.atomic
def _entered(statement: Statement, made: Path, judged_by: DatasetSnapshot, by: User | None) -> ModelVersion:
    facts, site = statement.facts, judged_by.site
    Model.objects.get_or_create(domain=statement.domain)
    model = Model.objects.select_for_update().get(domain=statement.domain)
    if (known := model.versions.filter(artefact_hash=statement.artefact_hash).first()) is not None:
        raise LynceusError("version_exists", f"It is here already, as version {known.number}.", status=409)
    of = facts["dataset"]
    own = DatasetSnapshot.objects.filter(
        site=site, domain=statement.domain, manifest_sha256=of["manifest_sha256"]
    ).first()
    highest = model.versions.aggregate(highest=Max("number"))["highest"] or 0
    version = ModelVersion.objects.create(
        model=model, number=highest + 1, artefact_hash=statement.artefact_hash, metrics=facts["metrics"],
        dataset=own or judged_by, job=None, variant=facts["variant"][:20],
    )  # fmt: skip
    ImportedVersion.objects.create(
        version=version, key=statement.key, statement_sha256=statement.sha256, number=facts["number"],
        made_at=datetime.fromisoformat(facts["made_at"]), dataset_name=of["name"],
        dataset_sha256=of["manifest_sha256"], dataset_summary=of["summary"], training=facts["training"],
        learnt_here=own is not None, by=by, at=now(),
    )  # fmt: skip
    detail = {"key": statement.key, "artefact_hash": statement.artefact_hash, "number": facts["number"]}
    record("version.imported", site=site, actor=by, subject=f"version:{version.pk}", detail=detail)
    place = places.artefact_folder(statement.artefact_hash)
    if not place.exists():
        made.rename(place)
    return version


def _require_domain(statement: Statement, domain: str) -> None:
    """An unknown one is said as such; another one than asked for too."""
    domain_named(statement.domain)
    if statement.domain != domain:
        raise LynceusError(
            "other_domain", f"The archive is of {statement.domain}, not of {domain}.", status=422
        )


def _forget_left_behind() -> None:
    for folder in places.unpacked().iterdir():
        if folder.stat().st_mtime < (now() - LEFT_BEHIND).timestamp():
            shutil.rmtree(folder, ignore_errors=True)
