"""Make a version the champion; workers notice another version and load it before their next batch."""

from __future__ import annotations

from django.db import transaction

from apps.accounts.models import Site, User
from apps.audit.services import record
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.modelops.models import Model, ModelVersion, Promotion
from apps.modelops.selectors import artefact_dir
from ml.common.artefact import ArtefactError, open_artefact


@transaction.atomic
def promote_version(version: ModelVersion, *, by: User | None, site: Site) -> None:
    """Raises LynceusError if the artefact is not whole. Promoting the champion again changes nothing."""
    try:
        open_artefact(artefact_dir(version), version.artefact_hash, kind=version.model.domain)
    except ArtefactError as error:
        raise LynceusError(f"artefact_{error.code}", error.message, status=409) from error
    model = Model.objects.select_for_update().get(pk=version.model_id)
    if model.champion_id == version.pk:
        return
    model.champion = version
    model.save(update_fields=["champion"])
    Promotion.objects.create(version=version, by=by, at=now())
    record("version.promoted", site=site, actor=by, subject=f"version:{version.pk}")
