"""What was ordered: how soon the study is to be read, where the patient is, what the question is.

Programs and people say it (`change_order`). What they have not said is taken from the films' headers
(`take_order`), whose texts are anybody's: one line, within limits, and never over what was set.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

from django.db import transaction

from apps.accounts.models import Site
from apps.audit.services import Actor, record
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.radiology.models import ORDER, Priority, Study
from apps.radiology.studies.services.studies import place_of
from ml.radiology.contracts import RequestHeader

# RequestedProcedurePriority (PS3.3 C.4.11) in HL7's words. What is not here is routine.
PRIORITY = {"STAT": Priority.STAT, "HIGH": Priority.URGENT}
KEPT = ("ReferringPhysicianName", "StudyID")


@transaction.atomic
def change_order(site: Site, study_uid: str, given: Mapping[str, str], *, actor: Actor) -> Study:
    """Set those of `ORDER` that are given, valid already, and rank the study anew. The same ones, set before,
    are no change. LynceusError 404 not_found."""
    shown = Study.objects.select_for_update().filter(site=site, withdrawn=False)
    study = shown.filter(StudyInstanceUID=study_uid).first()
    if study is None:
        raise LynceusError("not_found", "There is no such study.", status=404)
    before, was_set = study.priority, study.order_set
    changed = [name for name in ORDER if given.get(name, getattr(study, name)) != getattr(study, name)]
    study.order_set = ",".join(name for name in ORDER if name in given or name in was_set.split(","))
    if not changed and study.order_set == was_set:
        return study
    for name in changed:
        setattr(study, name, given[name])
    study.rank_at = place_of(study)
    study.changed_at = now()
    study.save(update_fields=[*changed, "order_set", "rank_at", "changed_at"])
    # What the location and the question hold is the patient's: the audit tells that they changed.
    detail = {"fields": changed, "priority": study.priority, "before": before}
    record("order.changed", site=site, actor=actor, subject=f"study:{study.pk}", detail=detail)
    return study


def take_order(study: Study, said: RequestHeader) -> list[str]:
    """Fill what nobody has said of a study, locked by the caller, from a film's header; the order's fields
    that were filled. The first film that says something is believed."""
    order, was_set = _order_in(said), study.order_set.split(",")
    filled = [name for name in order if getattr(study, name) == ORDER[name] and name not in was_set]
    kept = {name: getattr(said, name) for name in KEPT if getattr(said, name) and not getattr(study, name)}
    if not filled and not kept:
        return []
    for name in filled:
        setattr(study, name, order[name])
    for name, value in kept.items():
        setattr(study, name, _line(value, 64) if name == "StudyID" else value)
    study.rank_at = place_of(study)
    study.save(update_fields=[*filled, *kept, "rank_at"])
    return filled


def _order_in(said: RequestHeader) -> dict[str, str]:
    """Those of `ORDER` that the header says anything of."""
    question = said.ReasonForTheRequestedProcedure or said.AdmittingDiagnosesDescription
    place = said.CurrentPatientLocation or said.InstitutionalDepartmentName
    order = {
        "priority": PRIORITY.get(said.RequestedProcedurePriority.upper(), Priority.ROUTINE),
        "location": _line(place, 64),
        "clinical_question": _line(question, 400),
    }
    return {name: str(value) for name, value in order.items() if value != ORDER[name]}


def _line(text: str, most: int) -> str:
    """One line without control and formatting characters, which could turn what stands beside it round; of
    several values each. What is too long says that it was cut."""
    values = (value.strip() for value in text.split("\\"))
    plain = "".join(
        " " if unicodedata.category(one)[0] in "CZ" else one for one in ", ".join(filter(None, values))
    )
    line = " ".join(plain.split())
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"
