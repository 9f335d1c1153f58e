"""How the version in service does, the alarms that came of it, and whoever is told of them."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role, Site
from apps.modelops.common import selectors
from apps.modelops.models import Alarm, AlarmReceiver
from apps.modelops.registry import Domain, all_domains, domain_named
from apps.modelops.watch.services.alarm_news import last_news_of, set_receiver, stop_telling
from apps.modelops.watch.services.alarms import acknowledge
from apps.modelops.watch.services.watch import limits_of, set_limits
from apps.modelops.watch.watch_forms import LimitsForm, ReceiverForm
from apps.modelops.watch.watching import (
    RELIABILITY,
    alarms_of,
    course_of,
    drawable,
    last_look,
    lines_of,
    reliability_of,
)


@require_http_methods(["GET", "POST"])
@role_required(Role.ML_ADMIN)
def watch(request: HttpRequest, domain: str) -> HttpResponse:
    """A POST sets the site's limits."""
    user, known = user_of(request), _watched(domain)
    form = LimitsForm(request.POST or None, domain=known, limits=limits_of(user.site, known))
    if request.method == "POST" and form.is_valid():
        if set_limits(site=user.site, domain=known, limits=form.limits(), by=user):
            messages.success(request, "Set. The next look goes by it.")
        return redirect("modelops:watch", known.name)
    context = {**_seen(user.site, known), "form": form, "receiver_form": ReceiverForm()}
    return render(request, "modelops/watch.html", context, status=422 if form.errors else 200)


@require_GET
@role_required(Role.ML_ADMIN)
def watch_chart(request: HttpRequest, domain: str, chart: str) -> HttpResponse:
    """One measure's course, or the reliability of what is known; 404 for another name."""
    site, known = user_of(request).site, _watched(domain)
    measures = {one.name: one for one in known.measures}
    serving = selectors.champion(known.name)
    if chart == RELIABILITY and known.reliability and serving is not None:
        told = reliability_of(site, known, serving)
    elif chart in measures:
        told = course_of(site, known, measures[chart])
    else:
        raise Http404
    response = JsonResponse(told)
    response["Cache-Control"] = "no-store"
    return response


@require_POST
@role_required(Role.ML_ADMIN)
def acknowledge_alarm(request: HttpRequest, alarm_id: int) -> HttpResponse:
    user = user_of(request)
    alarm = Alarm.objects.filter(site=user.site, pk=alarm_id).first()
    if alarm is None:
        raise Http404
    if not acknowledge(alarm, by=user):
        messages.info(request, "Somebody acknowledged it before.")
    return redirect("modelops:watch", alarm.domain)


@require_POST
@role_required(Role.ML_ADMIN)
def receiver(request: HttpRequest) -> HttpResponse:
    """Where the site's alarms are sent from now on, or, with `stop`, that they are sent nowhere. The secret
    is on this answer and nowhere else."""
    user = user_of(request)
    if "stop" in request.POST:
        stop_telling(site=user.site, by=user)
        messages.success(request, "Alarms are sent nowhere.")
        return redirect("modelops:index")
    form = ReceiverForm(request.POST)
    context: dict[str, Any] = {"receiver_form": form, "active": "models"}
    if form.is_valid():
        context["secret"] = set_receiver(site=user.site, url=form.cleaned_data["url"], by=user)
    response = render(request, "modelops/alarm_receiver.html", context, status=422 if form.errors else 200)
    response["Cache-Control"] = "no-store"
    return response


def _watched(name: str) -> Domain:
    known = domain_named(name)
    if not known.watcher:
        raise Http404
    return known


def _seen(site: Site, domain: Domain) -> dict[str, Any]:
    serving = selectors.champion(domain.name)
    alarms = alarms_of(site, domain)
    readings = last_look(site, domain, serving) if serving else []
    return {
        "domain": domain,
        "domains": [one for one in all_domains() if one.watcher],
        "champion": serving,
        "is_ours": serving is not None and serving.dataset.site_id == site.pk,
        "looked_at": readings[0].at if readings else None,
        "alarms": alarms,
        "n_open": sum(one.is_open for one in alarms),
        "lines": lines_of(site, domain, readings, alarms),
        "charts": drawable(site, domain),
        "receiver": AlarmReceiver.objects.filter(site=site).first(),
        "news": last_news_of(site),
        "active": "models",
    }
