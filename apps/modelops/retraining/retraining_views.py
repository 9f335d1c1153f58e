"""When a site's model is trained anew by itself: the policy, and what came of it."""

from __future__ import annotations

from calendar import day_name
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role, Site
from apps.core.clock import now
from apps.modelops.datasets.news import news_of
from apps.modelops.models import RetrainingPolicy
from apps.modelops.registry import Domain, domain_named
from apps.modelops.retraining.retraining_reasons import next_time, zone_of
from apps.modelops.retraining.services.retraining import last_start, set_policy, why_not_now

SHOWN = 20
FIELDS = (
    "enabled", "labels_min", "alarms", "calendar", "weekday", "day", "hour", "preset", "includes",
    "min_days",
)  # fmt: skip
Calendar = RetrainingPolicy.Calendar


class PolicyForm(forms.Form):
    enabled = forms.BooleanField(required=False, label="Train anew by itself")
    labels_min = forms.IntegerField(
        required=False, min_value=10, max_value=100_000_000, label="New labels",
        help_text="So many since the last dataset. Empty: labels alone start nothing.",
    )  # fmt: skip
    alarms = forms.MultipleChoiceField(
        required=False, label="An alarm of", widget=forms.CheckboxSelectMultiple
    )
    calendar = forms.ChoiceField(choices=Calendar.choices, required=False)
    weekday = forms.TypedChoiceField(
        choices=list(enumerate(day_name)), coerce=int, help_text="For every week."
    )
    day = forms.IntegerField(
        min_value=1, max_value=28, label="Day of the month", help_text="For every month."
    )
    hour = forms.TypedChoiceField(choices=[(hour, f"{hour:02}:00") for hour in range(24)], coerce=int)
    preset = forms.ChoiceField()
    includes = forms.MultipleChoiceField(
        label="What its datasets hold",
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose what its datasets are to hold."},
    )
    min_days = forms.IntegerField(
        min_value=1, max_value=365, label="Days between two starts",
        help_text="At least: whatever speaks for another start before waits.",
    )  # fmt: skip

    def __init__(self, *args: Any, domain: Domain, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["preset"].choices = [(name, name) for name in domain.presets]  # type: ignore[attr-defined]
        self.fields["alarms"].choices = [(one.name, one.title) for one in domain.measures]  # type: ignore[attr-defined]
        self.fields["includes"].choices = [(one.name, one.title) for one in domain.includes]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if given.get("enabled") and not any(given.get(n) for n in ("labels_min", "alarms", "calendar")):
            raise forms.ValidationError("Say what is to start it: new labels, an alarm or the calendar.")
        return given


@require_http_methods(["GET", "POST"])
@role_required(Role.ML_ADMIN)
def retraining(request: HttpRequest, domain: str) -> HttpResponse:
    user, known = user_of(request), domain_named(domain)
    if not known.exporter:
        raise Http404
    policy = _policy(user.site, known)
    form = PolicyForm(
        request.POST if request.method == "POST" else None, domain=known,
        initial={name: getattr(policy, name) for name in FIELDS},
    )  # fmt: skip
    if form.is_bound and form.is_valid():
        for name in FIELDS:
            setattr(policy, name, form.cleaned_data[name])
        set_policy(policy, by=user)
        messages.success(request, "The policy is kept.")
        return redirect("modelops:retraining", domain)
    context = {
        "form": form,
        "domain": known,
        "zone": zone_of(user.site).key,
        **_standing(policy),
        "news": news_of(user.site, known),
        "active": "models",
    }
    return render(request, "modelops/retraining.html", context, status=422 if form.errors else 200)


def _policy(site: Site, domain: Domain) -> RetrainingPolicy:
    """The one kept, or a new one as it would begin."""
    found = (
        RetrainingPolicy.objects.filter(site=site, domain=domain.name).select_related("site", "by").first()
    )
    return found or RetrainingPolicy(
        site=site, domain=domain.name, preset=next(iter(domain.presets)),
        includes=[one.name for one in domain.includes if one.initial],
    )  # fmt: skip


def _standing(policy: RetrainingPolicy) -> dict[str, Any]:
    """What it did and what it does next; of a policy that was never kept nothing."""
    if policy.pk is None:
        return {"policy": None}
    found = policy.retrainings.select_related("freeze", "job__version").order_by("-at", "-pk")
    return {
        "policy": policy,
        "next": next_time(policy, now()) if policy.enabled else None,
        "last": last_start(policy),
        "why_not": why_not_now(policy) if policy.enabled else "",
        "retrainings": found[:SHOWN],
    }
