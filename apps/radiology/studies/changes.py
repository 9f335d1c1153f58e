"""Reads: what was sent again and waits for a person, what lies aside, whose a study was before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, QuerySet

from apps.accounts.models import Site
from apps.radiology.common.headers import WHOSE
from apps.radiology.models import (
    Correction,
    CorrectionState,
    IdentityChange,
    KeptAside,
    PatientMerge,
    Rejection,
    RejectionNote,
    Study,
    differences,
)

LIST_MAX = 200
HISTORY_SHOWN = 10
OTHERS_SHOWN = 20


@dataclass(slots=True)
class Proposal:
    """What one decision answers: the corrections of one study that wait with the same identity."""

    correction: Correction
    films: int

    @property
    def study(self) -> Study:
        return self.correction.instance.study

    @property
    def changes(self) -> list[tuple[str, str, str]]:
        """(keyword, now, sent): the study may have changed since the correction came."""
        now = {**self.correction.before, **{name: getattr(self.study, name) for name in WHOSE}}
        return differences(now, self.correction.after)


def identity_in_question(study: Study) -> bool:
    """Whether a correction of the study's patient or study attributes waits: no read until then."""
    return bool(_waiting().filter(instance__study=study, changes_identity=True).exists())


def in_question() -> Exists:
    """The same for each row of a queryset of studies."""
    return Exists(_waiting().filter(instance__study=OuterRef("pk"), changes_identity=True))


def proposals_of(study: Study) -> list[Proposal]:
    return _grouped(_waiting().filter(instance__study=study))


def proposals_at(site: Site) -> list[Proposal]:
    """The longest waiting first, at most `LIST_MAX` films of them."""
    return _grouped(_waiting().filter(site=site))


def _waiting() -> QuerySet[Correction]:
    return Correction.objects.filter(state=CorrectionState.WAITING, instance__rejected_by=None)


def _grouped(waiting: QuerySet[Correction]) -> list[Proposal]:
    found: dict[tuple[object, ...], Proposal] = {}
    for one in waiting.select_related("instance__study").order_by("received_at", "pk")[:LIST_MAX]:
        key = (one.instance.study_id, *(one.after[name] for name in WHOSE))
        found.setdefault(key, Proposal(one, films=0)).films += 1
    return list(found.values())


def correction_for(site: Site, public_id: UUID) -> Correction | None:
    found = Correction.objects.select_related("instance__study", "instance__site")
    return found.filter(site=site, public_id=public_id).first()


def aside_of(study: Study) -> QuerySet[KeptAside]:
    """Not seen by a person yet."""
    return _aside().filter(instance__study=study)


def aside_at(site: Site) -> QuerySet[KeptAside]:
    return _aside().select_related("instance__study").filter(site=site)[:LIST_MAX]


def _aside() -> QuerySet[KeptAside]:
    return KeptAside.objects.filter(settled_at=None, instance__rejected_by=None).order_by("received_at")


def aside_for(site: Site, public_id: UUID) -> KeptAside | None:
    found = KeptAside.objects.select_related("instance__study", "site", "settled_by")
    return found.filter(site=site, public_id=public_id).first()


def rejections_of(study: Study) -> QuerySet[RejectionNote]:
    """The notes in force that reject films of it, each with the number of `films`."""
    mine = RejectionNote.objects.filter(instances__study=study)
    return mine.annotate(films=Count("instances")).order_by("pk")


def rejections_at(site: Site) -> QuerySet[RejectionNote]:
    """The latest first; `named` instances, of which `films` are here and out of use by it."""
    notes = RejectionNote.objects.select_related("undone_by").filter(site=site)
    counts = {"named": Count("rejections", distinct=True), "films": Count("instances", distinct=True)}
    return notes.annotate(**counts).order_by("-received_at")[:LIST_MAX]


def rejected_uids(site: Site) -> frozenset[str]:
    """The SOPInstanceUIDs that no dataset may hold."""
    in_force = Rejection.objects.filter(site=site, ended_at=None)
    return frozenset(in_force.values_list("SOPInstanceUID", flat=True))


def rejection_for(site: Site, public_id: UUID) -> RejectionNote | None:
    return RejectionNote.objects.filter(site=site, public_id=public_id).first()


def merges_at(site: Site) -> QuerySet[PatientMerge]:
    """The latest first."""
    return PatientMerge.objects.select_related("by", "undone_by").filter(site=site).order_by("-pk")[:LIST_MAX]


def merge_for(site: Site, merge_id: int) -> PatientMerge | None:
    return PatientMerge.objects.select_related("site").filter(site=site, pk=merge_id).first()


def other_studies_of(study: Study) -> QuerySet[Study]:
    """Of the same patient, the latest first: none that is withdrawn or whose identity is in question."""
    if not study.PatientID:
        return Study.objects.none()
    same = Study.objects.filter(
        site=study.site_id, PatientID=study.PatientID, IssuerOfPatientID=study.IssuerOfPatientID
    )
    used = same.filter(~in_question(), withdrawn=False).exclude(pk=study.pk)
    return used.order_by("-StudyDate", "-received_at")[:OTHERS_SHOWN]


def identity_history(study: Study) -> QuerySet[IdentityChange]:
    """The latest first. A read signed before the first of them was signed under another identity."""
    return study.identity_changes.select_related("by").order_by("-pk")


def changes_of(found: Study) -> dict[str, Any]:
    """What the live part of the study page says about whose it is."""
    return {
        "proposals": proposals_of(found),
        "aside": aside_of(found),
        "rejections": rejections_of(found),
        "history": identity_history(found)[:HISTORY_SHOWN],
        "seen": found.changed_at.isoformat(),
    }
