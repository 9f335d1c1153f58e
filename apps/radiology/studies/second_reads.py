"""Second reads: who is asked, and for whom what colleagues said stays shut until they have read too."""

from __future__ import annotations

from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from apps.accounts.models import Role, User
from apps.radiology.models import CaseOpened, Read, ReadState, SecondRead, SecondReadDecline, Study

REASON_MAX = 400


def waits_for_second_read(user: User) -> Q:
    """Of a queryset of studies, those of which a second read is asked that this person may give: who has
    committed a read of it already, as the first reader has, or declined is not asked."""
    declined = SecondReadDecline.objects.filter(second=OuterRef("pk"), by=user)
    return Q(
        Exists(_standing().filter(~Exists(declined), read=None, study=OuterRef("pk"))),
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
    """What the read panel says of it. Why somebody declined is told to who has declined too, or has
    committed a read: to whom what colleagues said is open."""
    second = second_read_of(study)
    waits = second is not None and second.read is None
    return {
        "asked_second": gives_second_read(user, study),
        "second": second,
        "declines": second.declines.select_related("by").order_by("pk") if second and waits else [],
        "left": readers_left(study).count() if waits else 0,
        "reason_max": REASON_MAX,
    }


def readers_left(study: Study) -> QuerySet[User]:
    """The radiologists of its site who may still give the second read that is asked for."""
    committed = Read.objects.filter(study=study, committed_at__isnull=False)
    opened = CaseOpened.objects.filter(study=study)
    declined = SecondReadDecline.objects.filter(second__in=_standing().filter(study=study, read=None))
    radiologists = User.objects.filter(site=study.site_id, role=Role.RADIOLOGIST, is_active=True)
    return (
        radiologists.exclude(pk__in=committed.values("reader"))
        .exclude(pk__in=opened.values("user"))
        .exclude(pk__in=declined.values("by"))
    )


def _standing() -> QuerySet[SecondRead]:
    return SecondRead.objects.exclude(first__state=ReadState.RETRACTED)
