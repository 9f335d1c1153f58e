"""Second reads: who is asked, and for whom what colleagues said stays shut until they have read too."""

from __future__ import annotations

from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from apps.accounts.models import User
from apps.radiology.models import CaseOpened, Read, ReadState, SecondRead, Study


def waits_for_second_read(user: User) -> Q:
    """Of a queryset of studies, those of which a second read is asked that this person may give: who has
    committed a read of it already, as the first reader has, is not asked."""
    return Q(
        Exists(_standing().filter(read=None, study=OuterRef("pk"))),
        ~Exists(Read.objects.filter(study=OuterRef("pk"), reader=user, committed_at__isnull=False)),
        ~Exists(CaseOpened.objects.filter(study=OuterRef("pk"), user=user)),
    )


def gives_second_read(user: User, study: Study) -> bool:
    """Whether this person may be the second reader, so that what the first one said is not shown to them."""
    return Study.objects.filter(waits_for_second_read(user), pk=study.pk).exists()


def second_read_of(study: Study) -> SecondRead | None:
    """The latest, waiting or given, of a first read that stands."""
    return _standing().select_related("read").filter(study=study).order_by("-pk").first()


def second_read_is_due(study: Study) -> bool:
    return _standing().filter(study=study, read=None).exists()


def second_read_panel(study: Study, user: User) -> dict[str, Any]:
    """What the read panel says of it."""
    return {"asked_second": gives_second_read(user, study), "second": second_read_of(study)}


def _standing() -> QuerySet[SecondRead]:
    return SecondRead.objects.exclude(first__state=ReadState.RETRACTED)
