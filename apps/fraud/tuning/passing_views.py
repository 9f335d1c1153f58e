"""The page of what is let through to learn from: one proposes it, another switches it on, either stops it."""

from __future__ import annotations

from decimal import Decimal

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role
from apps.core.clock import now
from apps.fraud.common.iso import minor_digits
from apps.fraud.common.money import REPORTING_CURRENCY
from apps.fraud.common.services.rates import business_day
from apps.fraud.rules.passing import drawn_minor, policies_of, policy_for, policy_on, switches_of, why_not
from apps.fraud.rules.services.pass_policies import propose_policy, switch_off, switch_on

WATCH = (Role.FRAUD_ANALYST, Role.OPERATOR)
SHOWN_MAX = 20
DIGITS = minor_digits(REPORTING_CURRENCY)


class PolicyForm(forms.Form):
    percent = forms.DecimalField(
        label="Let through (%)", max_value=100, decimal_places=3, max_digits=6,
        widget=forms.NumberInput(attrs={"min": "0.001"}),
        help_text="Of the payments that the model alone would decline, each by its own draw.",
    )  # fmt: skip
    daily_cap = forms.DecimalField(
        label=f"At most a day ({REPORTING_CURRENCY})", max_value=10_000_000, decimal_places=DIGITS,
        max_digits=12, help_text="The first draw beyond it ends the day's sample; nothing larger is drawn.",
    )  # fmt: skip
    note = forms.CharField(max_length=300, label="Why")

    def clean_percent(self) -> float:
        return float(self._above_zero("percent") / 100)

    def clean_daily_cap(self) -> int:
        return int(self._above_zero("daily_cap").scaleb(DIGITS))

    def _above_zero(self, name: str) -> Decimal:
        given: Decimal = self.cleaned_data[name]
        if given <= 0:
            raise forms.ValidationError("More than nothing: to let nothing through, switch it off.")
        return given


@require_http_methods(["GET", "POST"])
@role_required(*WATCH)
def pass_through(request: HttpRequest) -> HttpResponse:
    """A POST proposes a policy."""
    user = user_of(request)
    form = PolicyForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        made = propose_policy(
            site=user.site, probability=given["percent"], daily_cap_minor=given["daily_cap"],
            note=given["note"], by=user,
        )  # fmt: skip
        messages.success(request, f"Policy {made.number} is proposed. Somebody else switches it on.")
        return redirect("fraud:pass_through")
    policies = policies_of(user.site)[:SHOWN_MAX]
    context = {
        "form": form,
        "on": policy_on(user.site),
        "drawn_minor": drawn_minor(user.site, business_day(now())),
        "policies": [(policy, policy.probability * 100, why_not(policy, user)) for policy in policies],
        "switches": switches_of(user.site)[:SHOWN_MAX],
        "active": "rules",
    }
    return render(
        request, "fraud/pass_through.html", context, status=422 if request.method == "POST" else 200
    )


@require_POST
@role_required(*WATCH)
def switch_pass_through_on(request: HttpRequest, number: int) -> HttpResponse:
    user = user_of(request)
    policy = policy_for(user.site, number)
    if policy is None:
        raise Http404
    switch_on(policy=policy, by=user)
    messages.success(request, f"Policy {number} is on from the next transaction.")
    return redirect("fraud:pass_through")


@require_POST
@role_required(*WATCH)
def switch_pass_through_off(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    switch_off(site=user.site, by=user)
    messages.success(request, "Nothing is let through from the next transaction on.")
    return redirect("fraud:pass_through")
