"""What the pages of a version in shadow have in common; each domain adds what its own runs say.

Their template extends `modelops/shadow.html`. The URLs are `start_shadow`, `stop_shadow` and `shadow` in a
namespace with the domain's name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect

from apps.accounts.auth import user_of
from apps.modelops.common.selectors import version_for
from apps.modelops.models import FollowingRun, ModelVersion, Promotion

# How many wait, of all sites, and for how many seconds the first of them; None where none does.
WaitingAge = Callable[[], tuple[int, float | None]]


def version_of(request: HttpRequest, version_id: int, domain: str) -> ModelVersion:
    """Http404 for another domain's, or another site's."""
    found = version_for(user_of(request).site, version_id)
    if found is None or found.model.domain != domain:
        raise Http404
    return found


def standing_of(version: ModelVersion, run: FollowingRun | None, waiting_age: WaitingAge) -> dict[str, Any]:
    """The context that every such page has; `run` is the version's latest."""
    running = run is not None and run.ended_at is None
    waiting, age_s = waiting_age() if running else (0, None)
    return {
        "version": version,
        "start_url": f"{version.model.domain}:start_shadow",
        "stop_url": f"{version.model.domain}:stop_shadow",
        "champion": version.model.champion,
        "is_champion": version.model.champion_id == version.pk,
        "other": version.model.shadow if not running else None,
        "run": run,
        "taken_over": _taken_over(run) if run else [],
        "running": running,
        "waiting": waiting,
        "age_s": age_s,
        "active": "models",
    }


def _taken_over(run: FollowingRun) -> list[Promotion]:
    """Versions that came into service while it ran: its numbers hold it against each of them in turn."""
    found = Promotion.objects.filter(version__model=run.version.model_id, at__gt=run.started_at)
    if run.ended_at is not None:
        found = found.filter(at__lt=run.ended_at)
    return list(found.exclude(version=run.version_id).select_related("version").order_by("at"))


def told_of_begin(request: HttpRequest, version: ModelVersion, says: str) -> HttpResponse:
    messages.success(request, says)
    return redirect(f"{version.model.domain}:shadow", version.pk)


def told_of_end(request: HttpRequest, version: ModelVersion, *, ended: bool) -> HttpResponse:
    if ended:
        messages.success(request, f"Version {version.number} follows no longer. What it said stays.")
    else:
        messages.warning(request, f"Version {version.number} was not in shadow.")
    return redirect(f"{version.model.domain}:shadow", version.pk)
