"""Let a version score beside the champion, and end that. The domain follows its own traffic with it."""

from __future__ import annotations

from django.db import transaction

from apps.accounts.models import Site, User
from apps.audit.services import record
from apps.core.errors import LynceusError
from apps.modelops.models import Model, ModelVersion
from apps.modelops.selectors import artefact_dir
from ml.common.artefact import ArtefactError, open_artefact


@transaction.atomic
def put_in_shadow(version: ModelVersion, *, by: User, site: Site) -> bool:
    """In place of one that is there; False where it is there already.

    LynceusError for the version in service, or whose artefact is not whole.
    """
    try:
        open_artefact(artefact_dir(version), version.artefact_hash, kind=version.model.domain)
    except ArtefactError as error:
        raise LynceusError(f"artefact_{error.code}", error.message, status=409) from error
    model = Model.objects.select_for_update().get(pk=version.model_id)
    if model.champion_id == version.pk:
        said = "The version in service decides: in shadow it would be compared with itself."
        raise LynceusError("in_service", said, status=409)
    if model.shadow_id == version.pk:
        return False
    if model.shadow_id is not None:
        _record_end(model.shadow_id, by, site, "replaced")
    model.shadow = version
    model.save(update_fields=["shadow"])
    record("shadow.started", site=site, actor=by, subject=f"version:{version.pk}")
    return True


@transaction.atomic
def take_out_of_shadow(version: ModelVersion, *, by: User | None, site: Site, why: str) -> bool:
    """False where it is not in shadow; `by` nobody where it ended by itself."""
    model = Model.objects.select_for_update().get(pk=version.model_id)
    if model.shadow_id != version.pk:
        return False
    model.shadow = None
    model.save(update_fields=["shadow"])
    _record_end(version.pk, by, site, why)
    return True


def _record_end(version_id: int, by: User | None, site: Site, why: str) -> None:
    record("shadow.ended", site=site, actor=by, subject=f"version:{version_id}", detail={"why": why})
