"""The pages of backtests: rules asked of history, with how far they are, and what they would have come to."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role
from apps.fraud.backtests.backtest_figures import figures_of, seconds_per_million
from apps.fraud.backtests.backtest_forms import PeriodForm
from apps.fraud.backtests.services.backtests import cancel_backtest, start_backtest
from apps.fraud.models import Backtest, BacktestState
from apps.fraud.rules.rulebook import backtest_for, backtests_of, version_for

SHOWN_MAX = 50
ACTIVE = {"active": "rules"}


@require_GET
@role_required(Role.FRAUD_ANALYST)
def backtests(request: HttpRequest) -> HttpResponse:
    page = Paginator(backtests_of(user_of(request).site), SHOWN_MAX).get_page(request.GET.get("page"))
    return render(request, "fraud/backtests.html", {"page": page, **ACTIVE})


@require_POST
@role_required(Role.FRAUD_ANALYST)
def start(request: HttpRequest, number: int) -> HttpResponse:
    """A saved version's rules; the editor starts those of a draft."""
    user, form = user_of(request), PeriodForm(request.POST)
    version = version_for(user.site, number)
    if version is None:
        raise Http404
    if not form.is_valid():
        messages.error(request, "Say of how many days.")
        return redirect("fraud:version", number)
    begun = start_backtest(
        site=user.site, by=user, rules=version.rules, version=number, days=form.cleaned_data["days"]
    )
    return redirect("fraud:backtest", begun.public_id)


@require_GET
@role_required(Role.FRAUD_ANALYST)
def backtest(request: HttpRequest, public_id: UUID) -> HttpResponse:
    return render(request, "fraud/backtest.html", _shown(_found(request, public_id)))


@require_GET
@role_required(Role.FRAUD_ANALYST)
def progress(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """What the page asks for while it runs."""
    answer = render(request, "fraud/backtest_figures.html", _shown(_found(request, public_id)))
    answer["Cache-Control"] = "no-store"
    return answer


@require_POST
@role_required(Role.FRAUD_ANALYST)
def cancel(request: HttpRequest, public_id: UUID) -> HttpResponse:
    found = _found(request, public_id)
    cancel_backtest(backtest=found, by=user_of(request))
    messages.success(request, "It has stopped. What was summed up so far stays.")
    return redirect("fraud:backtest", public_id)


def _shown(found: Backtest) -> dict[str, Any]:
    return {
        "backtest": found,
        "figures": figures_of(found),
        "per_million_s": seconds_per_million(found),
        "running": found.state == BacktestState.RUNNING,
        "percent": round(100 * found.share),
        **ACTIVE,
    }


def _found(request: HttpRequest, public_id: UUID) -> Backtest:
    found = backtest_for(user_of(request).site, public_id)
    if found is None:
        raise Http404
    return found
