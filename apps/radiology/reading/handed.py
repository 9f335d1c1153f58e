"""Reads: what a colleague left with a study."""

from __future__ import annotations

from typing import Any

from django.db.models import Q

from apps.accounts.models import User
from apps.radiology.models import HandOver, Read, Study
from apps.radiology.studies.reads import Said, said_by
from apps.radiology.worklist.worklist import colleagues_of
from ml.radiology.vocabulary import says


def handed_of(study: Study, user: User) -> dict[str, Any]:
    """For the read panel: the last hand-over that waits or that this reader took, what its giver had marked,
    and to whom they might hand it over themselves. What the giver marked is told to who took it alone."""
    concerns = Q(taken_at=None) | Q(taken_by=user)
    left = HandOver.objects.select_related("by", "to").filter(concerns, ~Q(by=user), study=study)
    handed = left.order_by("-pk").first()
    taken = handed is not None and handed.taken_by_id == user.pk
    return {
        "handed": handed,
        "handed_marks": _marks(handed) if handed is not None and taken else [],
        "colleagues": colleagues_of(user),
    }


def told_of_ai(read: Read) -> bool:
    """Whether who handed the study over to this reader knew what the model says."""
    return HandOver.objects.filter(study=read.study, taken_by=read.reader, opened=True).exists()


def _marks(handed: HandOver) -> list[tuple[str, Said]]:
    theirs = Read.objects.filter(study=handed.study_id, reader=handed.by).order_by("-pk").first()
    if theirs is None:
        return []
    return [(says(label), said) for label, said in said_by(theirs).items() if said.verdict]
