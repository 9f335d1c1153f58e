"""The ML administrator's pages: what serves, what is being trained, what each version can do."""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role, Site, User
from apps.core.errors import LynceusError
from apps.modelops.common import selectors
from apps.modelops.common.gate_selectors import waiting_requests
from apps.modelops.common.lines import log_of
from apps.modelops.common.measures import headlines, main_measures, measured
from apps.modelops.datasets.news import news_of
from apps.modelops.jobs.charts import charts_of, draw
from apps.modelops.jobs.folds import spreads_of, status_of
from apps.modelops.jobs.forms import NewJobForm, initial_from
from apps.modelops.jobs.notices import seen
from apps.modelops.jobs.services.folds import request_folds
from apps.modelops.jobs.services.jobs import request_training
from apps.modelops.jobs.standing import advice_for, sentence_of, shares_of, standing_of, steps_of, took_s
from apps.modelops.models import TrainingJob
from apps.modelops.promotion.gate_views import gate_context, version_of
from apps.modelops.registry import Domain, all_domains, domain_named
from apps.modelops.versions.cards import card_of
from apps.modelops.versions.variants import variants_of

JOBS_SHOWN = 8
LINES_ON_PAGE = 8
VERSIONS_SHOWN = 8
CROSSED_SHOWN = 5
DATASETS_SHOWN = 12


@require_GET
@role_required(Role.ML_ADMIN)
def index(request: HttpRequest) -> HttpResponse:
    site = user_of(request).site
    return render(request, "modelops/index.html", {"places": [_place(site, d) for d in all_domains()]})


def _place(site: Site, domain: Domain) -> dict[str, Any]:
    # One model of a domain serves every site: the champion is shown to all, its page only to its own.
    serving = selectors.champion(domain.name)
    return {
        **_job_rows(site, domain),
        "champion": serving,
        "is_ours": serving is not None and serving.dataset.site_id == site.pk,
        "headlines": headlines(serving.metrics) if serving else [],
        "promotion": selectors.promotion_of(serving) if serving else None,
        "waiting": waiting_requests(site, domain.name),
        "versions": [
            (one, measured(one, "auc"), measured(one, "ap"))
            for one in selectors.versions_of(site, domain.name)[:VERSIONS_SHOWN]
        ],
        "datasets": selectors.datasets_of(site, domain.name)[:DATASETS_SHOWN],
        "news": news_of(site, domain),
        "crossed": [
            (one, {"status": status_of(jobs)}, spreads_of(jobs)[:1])
            for one in selectors.cross_validations_of(site, domain.name)[:CROSSED_SHOWN]
            for jobs in [selectors.jobs_of_folds(one)]
        ],
    }


@require_GET
@role_required(Role.ML_ADMIN)
def job_rows(request: HttpRequest, domain: str) -> HttpResponse:
    """The jobs' table body of one domain; 204 while it still shows what `seen` says it shows."""
    context = _job_rows(user_of(request).site, domain_named(domain))
    if request.GET.get("seen") == context["mark"]:
        return HttpResponse(status=204)
    return _live(render(request, "modelops/job_rows.html", context))


def _job_rows(site: Site, domain: Domain) -> dict[str, Any]:
    jobs = list(selectors.jobs_of(site, domain.name)[:JOBS_SHOWN])
    return {
        "domain": domain,
        "jobs": [(one, standing_of(one, domain), took_s(one)) for one in jobs],
        "mark": _mark(
            *((one.pk, one.status, one.cancel_requested, one.pause_requested, one.progress) for one in jobs)
        ),
    }


@require_GET
@role_required(Role.ML_ADMIN)
def job(request: HttpRequest, job_id: int) -> HttpResponse:
    found = _job(request, job_id)
    seen([found], user_of(request))
    return render(request, "modelops/job.html", _standing(found))


@require_GET
@role_required(Role.ML_ADMIN)
def job_live(request: HttpRequest, job_id: int) -> HttpResponse:
    """The live part of the job's page; 204 while it still shows what `seen` says it shows."""
    found = _job(request, job_id)
    if request.GET.get("seen") == _job_mark(found):
        return HttpResponse(status=204)
    context = _standing(found)
    # The charts redraw themselves: their place is sent again only when there is another chart to draw. So
    # are the buttons, which somebody may be about to press, when there are others.
    context["new_charts"] = request.GET.get("charts") != context["charts_mark"]
    context["new_actions"] = request.GET.get("actions") != context["actions_mark"]
    return _live(render(request, "modelops/job_live.html", context))


def _standing(found: TrainingJob) -> dict[str, Any]:
    domain = domain_named(found.domain)
    events = selectors.events_of(found)
    curves = selectors.curves_of(events)
    charts = charts_of(curves, domain)
    charts_mark = _mark(*(chart.key for chart in charts))
    actions_mark = _mark(found.status, found.cancel_requested, found.pause_requested)
    ahead = selectors.jobs_ahead_of(found) if found.status == TrainingJob.Status.QUEUED else 0
    return {
        "job": found,
        "domain": domain,
        "standing": standing_of(found, domain),
        "steps": steps_of(found, domain, events),
        "phases": shares_of(found, domain, events, curves),
        "log": log_of(events)[-LINES_ON_PAGE:],
        "took_s": took_s(found),
        "fold_measures": main_measures("Measures", {f"Fold {found.fold}": found.measured})
        if found.measured
        else None,
        "sentence": sentence_of(found, domain, curves, ahead),
        "advice": advice_for(found),
        "retraining": getattr(found, "retraining", None),
        "charts": charts,
        "charts_mark": charts_mark,
        "actions_mark": actions_mark,
        "query": urlencode({"seen": _job_mark(found), "charts": charts_mark, "actions": actions_mark}),
        "active": "models",
    }


def _job_mark(found: TrainingJob) -> str:
    wishes = found.cancel_requested, found.pause_requested
    return _mark(found.status, wishes, found.fence, found.progress)


@require_GET
@role_required(Role.ML_ADMIN)
def job_curves(request: HttpRequest, job_id: int) -> HttpResponse:
    """One chart's numbers (`?chart=PHASE.KIND`); 404 for a chart the job has nothing to draw for."""
    found = _job(request, job_id)
    domain = domain_named(found.domain)
    curves = selectors.curves_of(selectors.events_of(found))
    charts = {chart.key: chart for chart in charts_of(curves, domain)}
    if request.GET.get("chart", "") not in charts:
        raise Http404
    chart = charts[request.GET["chart"]]
    return _live(JsonResponse(draw(chart, curves, domain, done=not found.is_open)))


@require_GET
@role_required(Role.ML_ADMIN)
def job_log(request: HttpRequest, job_id: int) -> HttpResponse:
    """The last lines of what the job said, as plain text, the newest last; times are UTC."""
    found = _job(request, job_id)
    lines = (f"{at:%Y-%m-%d %H:%M:%S}  {line}\n" for at, line in log_of(selectors.events_of(found)))
    return _live(HttpResponse("".join(lines), content_type="text/plain; charset=utf-8"))


@require_http_methods(["GET", "POST"])
@role_required(Role.ML_ADMIN)
def new_job(request: HttpRequest, domain: str) -> HttpResponse:
    user, known = user_of(request), domain_named(domain)
    form = NewJobForm(
        request.POST or None, site=user.site, domain=known, initial=_initial(request, user.site, known)
    )
    if request.method == "POST" and form.is_valid():
        try:
            return _asked_for(form, user)
        except LynceusError as error:
            form.add_error(None, error.message)
    context = {
        "form": form,
        "domain": known,
        "domains": all_domains(),
        "has_datasets": selectors.datasets_of(user.site, domain).exists(),
        "active": "models",
    }
    return render(request, "modelops/new_job.html", context, status=422 if form.errors else 200)


def _asked_for(form: NewJobForm, user: User) -> HttpResponse:
    """Queue it, and go to its page."""
    names = ("dataset", "preset", "seed", "device")
    given = {**{name: form.cleaned_data[name] for name in names}, "params": form.params(), "by": user}
    if folds := form.cleaned_data.get("folds"):
        return redirect("modelops:cross_validation", request_folds(folds=folds, **given).pk)
    return redirect("modelops:job", request_training(**given).pk)


def _initial(request: HttpRequest, site: Site, domain: Domain) -> dict[str, Any]:
    """From `?job=`, an earlier job to repeat, or `?dataset=`; what is not the site's is left out."""
    again = request.GET.get("job", "")
    if again.isdecimal() and len(again) < 19 and (earlier := selectors.job_for(site, int(again))):
        return initial_from(earlier, domain) if earlier.domain == domain.name else {}
    return {"dataset": request.GET.get("dataset", ""), "preset": "demo" if "demo" in domain.presets else ""}


@require_GET
@role_required(Role.ML_ADMIN)
def version(request: HttpRequest, version_id: int) -> HttpResponse:
    found = version_of(request, version_id)
    champion = found.model.champion
    context = {
        **gate_context(found, user_of(request)),
        "domain": domain_named(found.model.domain),
        "comparable": champion is not None
        and champion != found
        and champion.dataset.site_id == user_of(request).site_id
        and found.tested_on is not None
        and champion.tested_on is not None,
        "card": card_of(found),
        "variants": variants_of(found),
        "promotions": found.promotions.select_related("by").order_by("-id"),
        "active": "models",
    }
    return render(request, "modelops/version.html", context)


def _job(request: HttpRequest, job_id: int) -> TrainingJob:
    found = selectors.job_for(user_of(request).site, job_id)
    if found is None:
        raise Http404
    return found


def _live(response: HttpResponse) -> HttpResponse:
    response["Cache-Control"] = "no-store"
    return response


def _mark(*parts: Any) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
