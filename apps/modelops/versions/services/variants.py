"""Which form of a version's model serves: training chose one, a person may choose another accepted one."""

from __future__ import annotations

from django.db import transaction

from apps.accounts.models import Site, User
from apps.audit.services import record
from apps.core.errors import LynceusError
from apps.modelops.models import ModelVersion
from apps.modelops.versions.variants import variants_of


@transaction.atomic
def choose_variant(version: ModelVersion, name: str, *, by: User | None, site: Site) -> None:
    """The artefact stays as it is; workers notice before their next batch, as they notice a promotion.

    Raises LynceusError for a form that was not accepted. Choosing the one that serves changes nothing.
    """
    if name not in {one.name for one in variants_of(version) if one.accepted}:
        raise LynceusError("variant_not_accepted", "This form of the model may not serve.", status=409)
    locked = ModelVersion.objects.select_for_update().get(pk=version.pk)
    if locked.variant == name:
        return
    before, locked.variant = locked.variant, name
    locked.save(update_fields=["variant"])
    detail = {"from": before, "to": name}
    record("version.variant_chosen", site=site, actor=by, subject=f"version:{version.pk}", detail=detail)
