"""A version's card to take away, its curves, and single examples of its data."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_GET

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role
from apps.audit.services import record
from apps.modelops.common.selectors import version_for
from apps.modelops.models import ModelVersion
from apps.modelops.registry import domain_named
from apps.modelops.versions.card_text import markdown_of
from apps.modelops.versions.cards import card_of, curves_of_version
from apps.modelops.versions.cases import picture
from apps.modelops.versions.curve_charts import CHARTS, draw_curves

ROW_MAX = 2_000_000


@require_GET
@role_required(Role.ML_ADMIN)
def card_markdown(request: HttpRequest, version_id: int) -> HttpResponse:
    found = _version(request, version_id)
    response = HttpResponse(markdown_of(card_of(found)), content_type="text/markdown; charset=utf-8")
    name = f"{found.model.domain}-v{found.number}-card.md"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@require_GET
@role_required(Role.ML_ADMIN)
def version_curves(request: HttpRequest, version_id: int, chart: str) -> HttpResponse:
    """One chart of the test part; 404 for a chart that is none, or a version that kept no curves."""
    curves = curves_of_version(_version(request, version_id))
    if chart not in CHARTS or not curves:
        raise Http404
    return JsonResponse(draw_curves(chart, list(curves.items())))


@require_GET
@role_required(Role.ML_ADMIN)
def case_picture(request: HttpRequest, version_id: int, row: int) -> HttpResponse:
    """The picture in a row of the version's frozen dataset; who looked at it is in the audit."""
    found, user = _version(request, version_id), user_of(request)
    domain = domain_named(found.model.domain)
    png = picture(domain, found.dataset, row) if row <= ROW_MAX else None
    if png is None:
        raise Http404
    record(
        "dataset.film_viewed", site=user.site, actor=user, subject=f"dataset:{found.dataset_id}",
        detail={"row": row},
    )  # fmt: skip
    response = HttpResponse(png, content_type="image/png")
    response["Cache-Control"] = "no-store"
    return response


def _version(request: HttpRequest, version_id: int) -> ModelVersion:
    found = version_for(user_of(request).site, version_id)
    if found is None:
        raise Http404
    return found
