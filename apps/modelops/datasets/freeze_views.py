"""Freeze what the site's people said into a dataset, from the administrator's desk."""

from __future__ import annotations

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.text import slugify
from django.views.decorators.http import require_GET, require_http_methods

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role, Site
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.modelops.datasets.news import base_in_service, brought_datasets, news_of
from apps.modelops.datasets.services.freezes import request_freeze
from apps.modelops.datasets.summaries import name_of
from apps.modelops.models import DatasetSnapshot, Freeze
from apps.modelops.registry import Domain, domain_named


class FreezeForm(forms.Form):
    name = forms.SlugField(max_length=60, help_text="Lower-case letters, digits, - and _. It never changes.")
    includes = forms.MultipleChoiceField(
        label="What it holds",
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose what the dataset is to hold."},
    )

    base = forms.ModelChoiceField(
        DatasetSnapshot.objects.none(), required=False, label="Together with", empty_label="nothing else",
        help_text="What was brought along and taught before. Its parts stay as they are.",
    )  # fmt: skip

    def __init__(self, data: object, site: Site, domain: Domain) -> None:
        initial = {
            "base": base_in_service(site, domain.name),
            "name": f"{slugify(domain.name)}-{now():%Y-%m-%d}",
            "includes": [one.name for one in domain.includes if one.initial],
        }
        super().__init__(data, initial=initial)  # type: ignore[arg-type]
        offered = [(one.name, one.title) for one in domain.includes]
        self.fields["includes"].choices = offered  # type: ignore[attr-defined]
        self.fields["base"].queryset = brought_datasets(site, domain.name)  # type: ignore[attr-defined]
        self.fields["base"].label_from_instance = name_of  # type: ignore[attr-defined]


@require_http_methods(["GET", "POST"])
@role_required(Role.ML_ADMIN)
def freeze(request: HttpRequest, domain: str) -> HttpResponse:
    """What has come in, and a form that freezes it."""
    user, known = user_of(request), domain_named(domain)
    news = news_of(user.site, known)
    if news is None:
        raise Http404
    form = FreezeForm(request.POST or None, user.site, known)
    if request.method == "POST" and form.is_valid():
        try:
            asked = request_freeze(
                site=user.site, domain=known, name=form.cleaned_data["name"],
                includes=form.cleaned_data["includes"], by=user, base=form.cleaned_data["base"],
            )  # fmt: skip
        except LynceusError as error:
            form.add_error("name" if "name" in error.code or "exists" in error.code else None, error.message)
        else:
            return redirect("modelops:freezing", asked.pk)
    context = {"form": form, "domain": known, "news": news, "includes": known.includes, "active": "models"}
    return render(request, "modelops/freeze.html", context, status=422 if form.errors else 200)


@require_GET
@role_required(Role.ML_ADMIN)
def freezing(request: HttpRequest, freeze_id: int) -> HttpResponse:
    """How far it is; the dataset's page once it is there."""
    found = Freeze.objects.filter(site=user_of(request).site, pk=freeze_id).select_related("by").first()
    if found is None:
        raise Http404
    if found.dataset_id is not None:
        there = redirect("modelops:dataset", found.dataset_id)
        if "HX-Request" not in request.headers:
            return there
        return HttpResponse(headers={"HX-Redirect": there.url})
    context = {"freeze": found, "domain": domain_named(found.domain), "active": "models"}
    answer = render(request, "modelops/freezing.html", context)
    answer["Cache-Control"] = "no-store"
    return answer
