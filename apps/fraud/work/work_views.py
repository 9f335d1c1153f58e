"""The queue's doors: take the next, open one, keep and leave it, set a desk's capacity, keep a view."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role, User
from apps.core.errors import LynceusError
from apps.core.saved_views import delete_view as delete_saved_view
from apps.core.saved_views import save_view as save_queue_view
from apps.core.words import counted
from apps.fraud.models import Desk, Move, QueueView, WorkItem
from apps.fraud.work.budget import budget_of, shown
from apps.fraud.work.queue import item_for, lead_of
from apps.fraud.work.services.budget import set_capacity
from apps.fraud.work.services.moves import assign_item, escalate_item, snooze_item
from apps.fraud.work.services.work import hold_item as hold
from apps.fraud.work.services.work import release_item, take_item, take_next
from apps.fraud.work.work_forms import CapacityForm, MoveForm, WorkForm

DONE = {Move.ASSIGN: "given", Move.ESCALATE: "escalated", Move.SNOOZE: "put off", "release": "given back"}


@require_POST
@role_required(Role.FRAUD_ANALYST)
def take(request: HttpRequest) -> HttpResponse:
    """Lock the next free item of a desk and open it."""
    desk = request.POST.get("desk", "")
    return redirect(next_page(request, Desk(desk) if desk in Desk.values else Desk.LOSS))


def next_page(request: HttpRequest, desk: Desk) -> str:
    """Where an analyst goes on: the next item, now theirs, or the queue where nothing is left to take."""
    user = user_of(request)
    item = take_next(site=user.site, desk=desk, user=user)
    if item is None:
        messages.info(request, "Nothing is left to take here.")
        return _queue(desk)
    return _page_of(item)


@require_POST
@role_required(Role.FRAUD_ANALYST)
def open_item(request: HttpRequest, item_id: int) -> HttpResponse:
    """Lock this item and open it. While a colleague holds it, it opens to be looked at; with `over` the lock
    is taken from them."""
    user, item = user_of(request), _item(request, item_id)
    try:
        take_item(item, user, over="over" in request.POST)
    except LynceusError as error:
        if error.code == "item_closed":
            messages.info(request, error.message)
            return redirect(_queue(item.desk))
        messages.warning(request, f"{error.message} You are looking on.")
    return redirect(_page_of(item))


@require_POST
@role_required(Role.FRAUD_ANALYST)
def hold_item(request: HttpRequest, item_id: int) -> HttpResponse:
    """The open page's sign of life: 204 while the item is this analyst's, 409 once it is not."""
    if not hold(_item(request, item_id), user_of(request)):
        raise _not_yours()
    return HttpResponse(status=204)


def _not_yours() -> LynceusError:
    return LynceusError("item_not_yours", "You no longer hold this card: take it again.", status=409)


@require_POST
@role_required(Role.FRAUD_ANALYST)
def move_items(request: HttpRequest) -> HttpResponse:
    """Give, escalate, put off or give back what was ticked. What a colleague works on stays as it is."""
    user = user_of(request)
    form = MoveForm(request.POST, user=user)
    if not form.is_valid():
        messages.error(request, f"Nothing was changed. {form.fault()}")
        return redirect(_back(request))
    given = form.cleaned_data
    items = [_item(request, pk) for pk in given["items"]]
    act, refused = _mover(given, user), []
    for item in items:
        try:
            act(item)
        except LynceusError as error:
            if error.status != 409:
                raise
            refused.append(error.message)
    if done := len(items) - len(refused):
        messages.success(request, f"{counted(done, 'card')} {DONE[given['act']]}.")
    if refused:
        messages.warning(request, f"{len(refused)} left as they were. {refused[0]}")
    return redirect(_back(request))


def _back(request: HttpRequest) -> str:
    """The queue as it was narrowed when the form was sent."""
    return _narrowed(WorkForm(request.POST).given())


def _mover(given: dict[str, Any], user: User) -> Callable[[WorkItem], None]:
    to, note = given["to"], given["note"]
    return {
        Move.ASSIGN: lambda item: assign_item(item, user, to, note),
        Move.ESCALATE: lambda item: escalate_item(item, user, to, note),
        Move.SNOOZE: lambda item: snooze_item(item, user, given["until"], note),
        "release": lambda item: _give_back(item, user),
    }[given["act"]]


def _give_back(item: WorkItem, user: User) -> None:
    if not release_item(item, user):
        raise _not_yours()


@require_http_methods(["GET", "POST"])
@role_required(Role.FRAUD_ANALYST, Role.OPERATOR)
def capacity(request: HttpRequest) -> HttpResponse:
    """How many alerts each desk reviews a day, and what more would bring. A POST sets one desk's."""
    user = user_of(request)
    form = CapacityForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        desk = Desk(form.cleaned_data["desk"])
        set_capacity(site=user.site, desk=desk, alerts_per_day=form.cleaned_data["alerts_per_day"], by=user)
        messages.success(request, f"{desk.label}: the line moves at once.")
        return redirect("fraud:capacity")
    desks = []
    for desk in Desk:
        budget = budget_of(user.site, desk)
        asked = form if form.is_bound and form["desk"].value() == desk else CapacityForm(
            initial={"desk": desk, "alerts_per_day": budget.alerts_per_day}, auto_id=f"id_{desk}_%s"
        )  # fmt: skip
        desks.append({"desk": desk, "set_at": budget.set_at, "budget": shown(budget), "form": asked})
    status = 422 if request.method == "POST" else 200
    return render(request, "fraud/capacity.html", {"desks": desks}, status=status)


@require_POST
@role_required(Role.FRAUD_ANALYST)
def save_view(request: HttpRequest) -> HttpResponse:
    filters = WorkForm(request.POST).given()
    save_queue_view(QueueView, user_of(request), request.POST, filters)
    return redirect(_narrowed(filters))


@require_POST
@role_required(Role.FRAUD_ANALYST)
def delete_view(request: HttpRequest, view_id: int) -> HttpResponse:
    if not delete_saved_view(QueueView, user_of(request), view_id):
        raise Http404
    return redirect("fraud:queue")


def _item(request: HttpRequest, pk: int) -> WorkItem:
    found = item_for(user_of(request).site, pk)
    if found is None:
        raise Http404
    return found


def _page_of(item: WorkItem) -> str:
    lead = lead_of(item)
    return reverse("fraud:decision", args=[lead.decision.public_id]) if lead else _queue(item.desk)


def _queue(desk: str) -> str:
    return _narrowed({} if desk == Desk.LOSS else {"show": desk})


def _narrowed(filters: Mapping[str, str]) -> str:
    return reverse("fraud:queue") + (f"?{urlencode(filters)}" if filters else "")
