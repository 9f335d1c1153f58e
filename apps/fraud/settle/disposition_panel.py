"""What the column beside an alert shows: what was said of it, what was done, whom somebody spoke to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from apps.accounts.models import Site, User
from apps.core.clock import now
from apps.fraud.common.told import Done
from apps.fraud.models import (
    Act,
    Alert,
    AlertStatus,
    Case,
    ContactAttempt,
    Decision,
    Disposition,
    WorkItem,
)
from apps.fraud.settle.disposition_forms import (
    BlockForm,
    ContactForm,
    DispositionForm,
    IntoCaseForm,
    ListForm,
)
from apps.fraud.settle.services.acts import is_held, is_released
from apps.fraud.settle.services.dispositions import UNDO, card_blocked

SHOWN_MAX = 20


@dataclass(frozen=True, slots=True)
class Shown:
    """A disposition, and until when it can be undone; None where it cannot (any more)."""

    made: Disposition
    undo_until: datetime | None


def panel_of(made: Decision, user: User, **forms: Any) -> dict[str, Any]:
    """Context of disposition_form.html, contacts.html and actions.html, together.

    `made` with its transaction and source. `forms`: settle, contact, block, listing or into_case, each with
    what was wrong in it.
    """
    return {
        **disposition_context(made, forms.get("settle")),
        **contacts_context(made, forms.get("contact")),
        **actions_context(made, user, forms),
        "outside": made.transaction.notices.order_by("-pk")[:SHOWN_MAX],
    }


def disposition_context(made: Decision, form: DispositionForm | None = None) -> dict[str, Any]:
    alert = alert_of(made)
    if alert is None:
        return {"alert": None, "settles": None}
    said = [_shown(one) for one in dispositions_of(alert)]
    settled = next((one.made for one in said if one.made.stands), None)
    item = alert.item if alert.status == AlertStatus.OPEN else None
    return {
        "alert": alert,
        "settles": item,
        "said": said,
        "settled": settled,
        "settle": form or DispositionForm(alerts=open_alerts(item) if item else None),
    }


def contacts_context(made: Decision, form: ContactForm | None = None) -> dict[str, Any]:
    """Of the same card, the newest first."""
    row = made.transaction
    found = ContactAttempt.objects.filter(
        site=row.source.site_id, decision__transaction__card_token=row.card_token
    ).select_related("by", "decision__transaction")
    return {
        "contacts": found.order_by("-made_at", "-pk")[:SHOWN_MAX],
        "contact_form": form or ContactForm(label_suffix=""),
    }


def actions_context(made: Decision, user: User, forms: dict[str, Any]) -> dict[str, Any]:
    entry, alert = card_blocked(made), alert_of(made)
    return {
        "done": [Done(act, act.told.first()) for act in acts_about(made)],
        "releasable": is_held(made) and not is_released(made),
        "blocked": entry,
        "hears": bool(made.transaction.source.webhook_url),
        "block_form": forms.get("block") or BlockForm(label_suffix=""),
        "list_form": forms.get("listing") or ListForm(made=made),
        "cases": alert.cases.order_by("-pk")[:SHOWN_MAX] if alert else [],
        "case_form": forms.get("into_case") or IntoCaseForm(cases=open_cases(user.site)),
    }


def alert_of(made: Decision) -> Alert | None:
    found = Alert.objects.filter(decision=made).select_related("item__locked_by", "item__site")
    return found.first()


def open_alerts(item: WorkItem) -> list[Alert]:
    """The most at stake first; the item has no more than its card has open."""
    found = item.alerts.filter(status=AlertStatus.OPEN).select_related("decision__transaction")
    return list(found.order_by("-at_stake_minor", "-pk"))


def dispositions_of(alert: Alert) -> QuerySet[Disposition]:
    found = alert.dispositions.select_related("by", "withdrawal__by")
    return found.order_by("-pk")[:SHOWN_MAX]


def acts_about(made: Decision) -> QuerySet[Act]:
    """What was done about the payments of its card, the newest first, each with what undid it."""
    row = made.transaction
    found = Act.objects.filter(
        site=row.source.site_id, undoes=None, decision__transaction__card_token=row.card_token
    )
    return found.select_related(
        "by", "entry", "undone__by", "decision__transaction__source"
    ).order_by("-pk")[:SHOWN_MAX]  # fmt: skip


def open_cases(site: Site) -> QuerySet[Case]:
    return Case.objects.filter(site=site, closing_at=None).order_by("-number")


def _shown(made: Disposition) -> Shown:
    until = made.at + UNDO
    return Shown(made, until if made.stands and until > now() else None)
