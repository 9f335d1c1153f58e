"""Cases: opened, added to, and closed by two."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction
from django.db.models import Max

from apps.accounts.models import Site, User
from apps.audit.services import record
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.fraud.common.cardguard import holds_card_number
from apps.fraud.models import Alert, Case, CaseEntry, CaseKind


@transaction.atomic
def open_case(*, title: str, alerts: Sequence[Alert], by: User) -> Case:
    _guard(title)
    # Numbers are a site's own and without gaps: one is opened at a time.
    Site.objects.select_for_update(no_key=True).get(pk=by.site_id)
    last = Case.objects.filter(site=by.site).aggregate(last=Max("number"))["last"] or 0
    case = Case.objects.create(site=by.site, number=last + 1, title=title, opened_by=by, opened_at=now())
    _enter(case, CaseKind.OPENED, by, text=title)
    for alert in alerts:
        add_alert(case, alert, by)
    return case


@transaction.atomic
def add_alert(case: Case, alert: Alert, by: User) -> None:
    """Adding one again changes nothing."""
    case = _open(case)
    if not case.alerts.filter(pk=alert.pk).exists():
        case.alerts.add(alert)
        _enter(case, CaseKind.ALERT, by, alert=alert)


@transaction.atomic
def add_evidence(case: Case, by: User, *, text: str = "", link: str = "") -> None:
    """A note, or a link with what it shows. LynceusError 422 bad_case for a card number in either."""
    case = _open(case)
    _guard(text, link)
    _enter(case, CaseKind.LINK if link else CaseKind.NOTE, by, text=text, link=link)


@transaction.atomic
def ask_closing(case: Case, conclusion: str, by: User) -> None:
    """Says what came of it; somebody else closes it."""
    case = _open(case)
    _guard(conclusion)
    case.closing_by, case.closing_at, case.conclusion = by, now(), conclusion
    case.save(update_fields=["closing_by", "closing_at", "conclusion"])
    _enter(case, CaseKind.CLOSING, by, text=conclusion)


@transaction.atomic
def settle_closing(case: Case, by: User, *, close: bool, why: str = "") -> None:
    """Close it, or leave it open and say why. LynceusError 403 own_closing for who asked for it."""
    case = _again(case)
    if case.state != "closing":
        raise LynceusError("not_closing", "Nobody asks for this case to be closed.", status=409)
    if closed_alone(case, by):
        raise LynceusError("own_closing", "You asked for it: somebody else closes it.", status=403)
    _guard(why)
    if close:
        case.closed_by, case.closed_at = by, now()
        _enter(case, CaseKind.CLOSED, by, text=why)
    else:
        case.closing_by, case.closing_at, case.conclusion = None, None, ""
        _enter(case, CaseKind.REFUSED, by, text=why)
    case.save()


def closed_alone(case: Case, by: User) -> bool:
    return case.closing_by_id == by.pk


def _open(case: Case) -> Case:
    case = _again(case)
    if case.state != "open":
        raise LynceusError("case_not_open", "This case is closed, or is about to be.", status=409)
    return case


def _again(case: Case) -> Case:
    return Case.objects.select_for_update(of=("self",)).select_related("site").get(pk=case.pk)


def _enter(
    case: Case, kind: CaseKind, by: User, *, text: str = "", link: str = "", alert: Alert | None = None
) -> None:
    CaseEntry.objects.create(case=case, kind=kind, text=text, link=link, alert=alert, by=by, at=now())
    record(f"case.{kind}", site=case.site, actor=by, subject=f"case:{case.pk}")


def _guard(*texts: str) -> None:
    if any(holds_card_number(text) for text in texts):
        raise LynceusError("bad_case", "This holds a card number. Leave it out.", status=422)
