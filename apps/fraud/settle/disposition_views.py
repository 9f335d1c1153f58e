"""An analyst settles alerts, changes their mind, acts, and writes down whom they spoke to."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role, User
from apps.core.errors import LynceusError
from apps.core.words import counted
from apps.fraud.common.selectors import decision_for
from apps.fraud.common.text_forms import without_card_numbers
from apps.fraud.models import (
    Act,
    ContactChannel,
    ContactOutcome,
    Decision,
    Desk,
    Disposition,
    ListKind,
    ListName,
    WorkItem,
)
from apps.fraud.settle.disposition_forms import (
    BlockForm,
    ContactForm,
    DispositionForm,
    IntoCaseForm,
    ListForm,
    until,
)
from apps.fraud.settle.disposition_panel import alert_of, open_alerts, open_cases, panel_of
from apps.fraud.settle.services.acts import block_card, put_on_list, release, undo_act
from apps.fraud.settle.services.cases import add_alert, open_case
from apps.fraud.settle.services.contacts import record_contact
from apps.fraud.settle.services.dispositions import UNDO, dispose, dispose_again, undo
from apps.fraud.work.services.work import take_item, take_next

ANALYST = role_required(Role.FRAUD_ANALYST)


@require_POST
@ANALYST
def settle(request: HttpRequest, item_id: int) -> HttpResponse:
    """Alerts of one item. Who holds it, or nobody, settles it; `do=next` goes on with the next one."""
    user = user_of(request)
    item = WorkItem.objects.filter(site=user.site, pk=item_id, closed_at=None).first()
    if item is None or not (alerts := open_alerts(item)):
        raise Http404
    form = DispositionForm(request.POST.copy(), alerts=alerts)
    if not form.is_valid():
        return _again(request, alerts[0].decision, 422, settle=form)
    try:
        with transaction.atomic():
            dispose(take_item(item, user), form.cleaned_data["alert"], form.said(), user)
    except LynceusError as error:
        form.add_error(None, error.message)
        return _again(request, alerts[0].decision, error.status, settle=form)
    _say(request, "Settled")
    if request.POST.get("do") == "next":
        return _next(request, user, Desk(item.desk))
    return redirect("fraud:decision", alerts[0].decision.public_id)


@require_POST
@ANALYST
def settle_again(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """A changed mind about alerts that are settled."""
    user = user_of(request)
    before = Disposition.objects.filter(site=user.site, public_id=public_id).select_related("item").first()
    if before is None:
        raise Http404
    made = _first_of(before)
    form = DispositionForm(request.POST.copy())
    if not form.is_valid():
        return _again(request, made, 422, settle=form)
    try:
        dispose_again(before, form.said(), user)
    except LynceusError as error:
        form.add_error(None, error.message)
        return _again(request, made, error.status, settle=form)
    _say(request, "Said anew")
    return redirect("fraud:decision", made.public_id)


@require_POST
@ANALYST
def undo_batch(request: HttpRequest, batch: UUID) -> HttpResponse:
    taken_back = undo(batch, user_of(request))
    count = sum(one.alerts.count() for one in taken_back)
    messages.success(request, f"Undone: {counted(count, 'alert')} open again.")
    if len(taken_back) > 1:
        return redirect("fraud:queue")
    return redirect("fraud:decision", _first_of(taken_back[0]).public_id)


@require_POST
@ANALYST
def act(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """`do`: release, block or list."""
    made, user, form = _decision(request, public_id), user_of(request), None
    try:
        match request.POST.get("do"):
            case "release":
                release(made, user)
            case "block":
                form = BlockForm(request.POST.copy(), label_suffix="")
                if not form.is_valid():
                    return _again(request, made, 422, block=form)
                given = form.cleaned_data
                block_card(
                    made.transaction.card_token, until=until(given["days"]), reason=given["reason"], by=user,
                    about=[made],
                )  # fmt: skip
            case "list":
                form = ListForm(request.POST.copy(), made=made)
                if not form.is_valid():
                    return _again(request, made, 422, listing=form)
                given = form.cleaned_data
                put_on_list(
                    made, name=ListName(given["name"]), kind=ListKind(given["kind"]),
                    until=until(given["days"]), reason=given["reason"], by=user,
                )  # fmt: skip
            case _:
                raise LynceusError("not_said", "Say what shall be done.", status=422)
    except LynceusError as error:
        if form is None:
            raise
        form.add_error(None, error.message)
        kind = "listing" if isinstance(form, ListForm) else "block"
        return _again(request, made, error.status, **{kind: form})
    messages.success(request, "Done. It counts from the next payment on.")
    return redirect("fraud:decision", public_id)


@require_POST
@ANALYST
def undo_one(request: HttpRequest, public_id: UUID) -> HttpResponse:
    user = user_of(request)
    found = Act.objects.filter(site=user.site, public_id=public_id, undoes=None).first()
    if found is None:
        raise Http404
    undo_act(found, user)
    messages.success(request, "Undone.")
    return redirect("fraud:decision", found.decision.public_id)


@require_POST
@ANALYST
def contact(request: HttpRequest, public_id: UUID) -> HttpResponse:
    made, form = _decision(request, public_id), ContactForm(request.POST.copy(), label_suffix="")
    if not form.is_valid():
        return _again(request, made, 422, contact=form)
    given = form.cleaned_data
    record_contact(
        made, channel=ContactChannel(given["channel"]), outcome=ContactOutcome(given["outcome"]),
        made_at=given["made_at"], note=given["note"], by=user_of(request),
    )  # fmt: skip
    messages.success(request, "Written down.")
    return redirect("fraud:decision", public_id)


@require_POST
@ANALYST
def into_case(request: HttpRequest, public_id: UUID) -> HttpResponse:
    made, user = _decision(request, public_id), user_of(request)
    alert = alert_of(made)
    if alert is None:
        raise Http404
    form = IntoCaseForm(request.POST.copy(), cases=open_cases(user.site))
    if not form.is_valid():
        return _again(request, made, 422, into_case=form)
    case = form.cleaned_data["case"]
    if case is None:
        case = open_case(title=form.cleaned_data["title"], alerts=[alert], by=user)
    else:
        add_alert(case, alert, user)
    messages.success(request, f"In case {case.number}.")
    return redirect("fraud:case", case.public_id)


def _again(request: HttpRequest, made: Decision, status: int, **forms: Any) -> HttpResponse:
    """The column alone, with what was wrong."""
    for form in forms.values():
        without_card_numbers(form.data)
    context = {
        "decision": made, "event": made.transaction, "active": "alerts",
        **panel_of(made, user_of(request), **forms),
    }  # fmt: skip
    return render(request, "fraud/settle.html", context, status=status)


def _next(request: HttpRequest, user: User, desk: Desk) -> HttpResponse:
    item = take_next(site=user.site, desk=desk, user=user)
    if item is None:
        messages.success(request, "Nothing else waits here for you.")
        return redirect("fraud:queue")
    return redirect("fraud:decision", open_alerts(item)[0].decision.public_id)


def _say(request: HttpRequest, what: str) -> None:
    messages.success(request, f"{what}. It can be undone for {int(UNDO.total_seconds() // 60)} minutes.")


def _first_of(made: Disposition) -> Decision:
    alerts = made.alerts.select_related("decision__transaction__source").order_by("-at_stake_minor", "-pk")
    return alerts[0].decision


def _decision(request: HttpRequest, public_id: UUID) -> Decision:
    found = decision_for(site=user_of(request).site, public_id=public_id)
    if found is None:
        raise Http404
    return found
