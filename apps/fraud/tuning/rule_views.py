"""The pages of rules: versions, what each changed, and which is in service."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role
from apps.fraud.backtests.backtest_forms import PeriodForm
from apps.fraud.models import RuleSet
from apps.fraud.rules.rulebook import (
    activations_of,
    approvers_of,
    changes,
    unshadowed,
    version_for,
    version_in_service,
    versions_of,
)
from apps.fraud.rules.services.rulesets import activate_version, who_else

WATCH = (Role.FRAUD_ANALYST, Role.OPERATOR)
ACTIVE = {"active": "rules"}


@require_GET
@role_required(*WATCH)
def versions(request: HttpRequest) -> HttpResponse:
    site = user_of(request).site
    found = versions_of(site)
    pairs = zip(found, [*found[1:], None], strict=True)
    approvers = approvers_of(site)
    context = {
        "versions": [
            (version, _summary(before, version), approvers.get(version.pk)) for version, before in pairs
        ],
        "in_service": version_in_service(site),
        "activations": activations_of(site)[:20],
        **ACTIVE,
    }
    return render(request, "fraud/rules.html", context)


def _summary(before: RuleSet | None, version: RuleSet) -> str:
    if before is None:
        return "the beginning"
    how = [change.how for change in changes(before, version)]
    said = [f"{how.count(word)} {word}" for word in ("added", "changed", "removed") if word in how]
    return ", ".join(said) or "nothing but their order"


@require_GET
@role_required(*WATCH)
def version(request: HttpRequest, number: int) -> HttpResponse:
    user = user_of(request)
    found = _version(request, number)
    before = version_for(user.site, number - 1)
    context = {
        "version": found,
        "before": before,
        "changes": changes(before, found),
        "in_service": version_in_service(user.site),
        "who_else": who_else(found, user),
        "unshadowed": unshadowed(user.site, found),
        "period": PeriodForm(),
        "activations": activations_of(user.site, found),
        **ACTIVE,
    }
    return render(request, "fraud/ruleset.html", context)


@require_POST
@role_required(*WATCH)
def activate(request: HttpRequest, number: int) -> HttpResponse:
    user = user_of(request)
    found = _version(request, number)
    without = request.POST.get("without_shadow") == "yes"
    activate_version(site=user.site, version=found, by=user, without_shadow=without)
    messages.success(request, f"Version {number} decides from the next transaction on.")
    return redirect("fraud:version", number)


def _version(request: HttpRequest, number: int) -> RuleSet:
    found = version_for(user_of(request).site, number)
    if found is None:
        raise Http404
    return found
