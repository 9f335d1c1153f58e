"""What was ordered: how soon the study is to be read, where the patient is, what the question is."""

from __future__ import annotations

from collections.abc import Mapping

from django.db import transaction

from apps.accounts.models import Site
from apps.audit.services import Actor, record
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.radiology.models import Study
from apps.radiology.services.studies import place_of

FIELDS = ("priority", "location", "clinical_question")


@transaction.atomic
def change_order(site: Site, study_uid: str, given: Mapping[str, str], *, actor: Actor) -> Study:
    """Set those of `FIELDS` that are given, valid already, and rank the study anew. The same ones are no
    change. LynceusError 404 not_found."""
    shown = Study.objects.select_for_update().filter(site=site, withdrawn=False)
    study = shown.filter(StudyInstanceUID=study_uid).first()
    if study is None:
        raise LynceusError("not_found", "There is no such study.", status=404)
    before = study.priority
    changed = [name for name in FIELDS if given.get(name, getattr(study, name)) != getattr(study, name)]
    if not changed:
        return study
    for name in changed:
        setattr(study, name, given[name])
    study.rank_at = place_of(study)
    study.changed_at = now()
    study.save(update_fields=[*changed, "rank_at", "changed_at"])
    # What the location and the question hold is the patient's: the audit tells that they changed.
    detail = {"fields": changed, "priority": study.priority, "before": before}
    record("order.changed", site=site, actor=actor, subject=f"study:{study.pk}", detail=detail)
    return study
