"""A version out of this installation and into it, as one signed archive."""

from __future__ import annotations

from typing import cast

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role, Site
from apps.core.errors import LynceusError
from apps.modelops.common.selectors import datasets_of, version_for
from apps.modelops.models import DatasetSnapshot
from apps.modelops.registry import Domain, domain_named
from apps.modelops.versions.archive_keys import own_key, trusted
from apps.modelops.versions.services.exchange import export_version, import_version


class ImportForm(forms.Form):
    archive = forms.FileField(allow_empty_file=True, max_length=200)
    judged_by = forms.ModelChoiceField(
        queryset=DatasetSnapshot.objects.none(), empty_label=None, label="Judged by",
        help_text="The dataset whose locked part it is held against at the gate.",
    )  # fmt: skip

    def __init__(self, *args: object, site: Site, domain: Domain) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.fields["judged_by"].queryset = datasets_of(site, domain.name)  # type: ignore[attr-defined]
        self.fields["judged_by"].label_from_instance = lambda one: one.name  # type: ignore[attr-defined]


@require_POST
@role_required(Role.ML_ADMIN)
def export(request: HttpRequest, version_id: int) -> HttpResponse:
    """The version's archive. A POST: it is written down who took it away."""
    user = user_of(request)
    found = version_for(user.site, version_id)
    if found is None:
        raise Http404
    pieces = export_version(found, by=user, site=user.site)
    response = StreamingHttpResponse(pieces, content_type="application/x-tar")
    name = f"{found.model.domain}-v{found.number}.lynceus.tar"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "no-store"
    return cast(HttpResponse, response)  # the guard passes on whatever a view answers


@require_http_methods(["GET", "POST"])
@role_required(Role.ML_ADMIN)
def import_archive(request: HttpRequest, domain: str) -> HttpResponse:
    user, known = user_of(request), domain_named(domain)
    given = (request.POST, request.FILES) if request.method == "POST" else ()
    form = ImportForm(*given, site=user.site, domain=known)
    if form.is_bound and form.is_valid():
        try:
            version = import_version(
                form.cleaned_data["archive"], domain=known.name, judged_by=form.cleaned_data["judged_by"],
                by=user,
            )  # fmt: skip
        except LynceusError as error:
            form.add_error("archive", error.message)
        else:
            messages.success(request, f"Version {version.number} is here, as a candidate.")
            return redirect("modelops:version", version.pk)
    context = {
        "form": form,
        "domain": known,
        "own_key": own_key(),
        "trusted": sorted(trusted() - {own_key()}),
        "has_datasets": datasets_of(user.site, known.name).exists(),
        "active": "models",
    }
    return render(request, "modelops/import.html", context, status=422 if form.errors else 200)
