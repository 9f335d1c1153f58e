"""The rule editor: it tries rules and starts backtests of them before it saves a version."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role
from apps.audit.services import record
from apps.core.errors import LynceusError
from apps.fraud.backtests.services.backtests import start_backtest
from apps.fraud.common.text_forms import without_card_numbers
from apps.fraud.rules.facts import FIELDS
from apps.fraud.rules.rulebook import backtest_for, version_for, version_in_service
from apps.fraud.rules.rulecheck import FaultyRules, check_rules
from apps.fraud.rules.rules import CompiledRule
from apps.fraud.rules.services.rulesets import save_version
from apps.fraud.tuning.rule_checks import completions
from apps.fraud.tuning.rule_forms import BaseRules, RuleFormSet, VersionForm, as_initial
from apps.fraud.tuning.services.dry_run import EVENTS_MAX, RECENT_MAX, DryRun, try_on_events, try_on_recent
from apps.fraud.wire.validation import check_events, parse_body
from ml.fraud.features import FEATURE_NAMES

TRIED_SHOWN = 50  # those that would be decided otherwise first
DAYS = 90  # of a backtest, where nobody says
ACTIVE = {"active": "rules"}


@require_http_methods(["GET", "POST"])
@role_required(Role.FRAUD_ANALYST)
def new_version(request: HttpRequest) -> HttpResponse:
    """The editor. `do` is test, backtest, add (an empty rule) or save; a fault is shown at its place."""
    if request.method == "GET":
        rules = RuleFormSet(initial=as_initial(_start(request)))
        return _editor(request, rules, VersionForm(initial={"on": "100"}))
    data = request.POST.copy()
    if data.get("do") == "add":
        data["form-TOTAL_FORMS"] = str(_number(data.get("form-TOTAL_FORMS")) + 1)
    rules, about = RuleFormSet(data), VersionForm(data)
    if data.get("do") == "add":
        return _editor(request, rules, about)
    compiled = _checked(rules, about)
    if compiled is None:
        return _editor(request, rules, about, status=422)
    if data.get("do") == "backtest":
        return _backtest(request, rules, about, compiled)
    if data.get("do") != "save":
        return _editor(request, rules, about, tried=_tried(request, compiled, about))
    return _save(request, rules, about, compiled)


def _backtest(
    request: HttpRequest, rules: BaseRules, about: VersionForm, compiled: tuple[CompiledRule, ...]
) -> HttpResponse:
    """Its page leads back here with the same draft."""
    user = user_of(request)
    drafted = [one.rule.as_json() for one in compiled]
    try:
        begun = start_backtest(
            site=user.site, by=user, rules=drafted, version=None, days=about.cleaned_data["days"] or DAYS
        )
    except LynceusError as error:
        about.add_error("days", error.message)
        return _editor(request, rules, about, status=422)
    return redirect("fraud:backtest", begun.public_id)


def _save(
    request: HttpRequest, rules: BaseRules, about: VersionForm, compiled: tuple[CompiledRule, ...]
) -> HttpResponse:
    if not about.cleaned_data["note"]:
        about.add_error("note", "Say what changes, and why.")
        return _editor(request, rules, about, status=422)
    user = user_of(request)
    saved = save_version(
        site=user.site,
        author=user,
        rules=[one.rule for one in compiled],
        note=about.cleaned_data["note"],
    )
    messages.success(request, f"Version {saved.number} is saved. Somebody else puts it in service.")
    return redirect("fraud:version", saved.number)


def _start(request: HttpRequest) -> list[dict[str, Any]]:
    """The rules to begin from: a backtest's, those of the version asked for, else of the one in service."""
    site = user_of(request).site
    with suppress(ValueError):
        if (found := backtest_for(site, UUID(request.GET.get("backtest", "")))) is not None:
            return list(found.rules)
    asked = _number(request.GET.get("from"))
    return list(((version_for(site, asked) if asked else None) or version_in_service(site)).rules)


def _checked(rules: BaseRules, about: VersionForm) -> tuple[CompiledRule, ...] | None:
    """The rules, compiled; None where something is wrong, which the forms then show."""
    if not (rules.is_valid() & about.is_valid()):
        return None
    try:
        return check_rules([form.rule() for form in rules.filled()])
    except FaultyRules as error:
        if general := rules.show(error):
            about.add_error(None, general)
        return None


def _tried(request: HttpRequest, compiled: tuple[CompiledRule, ...], about: VersionForm) -> DryRun | None:
    user = user_of(request)
    on = about.cleaned_data["on"]
    try:
        if on == "events":
            raw = parse_body(about.cleaned_data["events"].encode())
            if len(raw) > EVENTS_MAX:
                raise LynceusError("wrong_event_count", f"Paste 1 to {EVENTS_MAX} events.")
            done = try_on_events(site=user.site, rules=compiled, events=check_events(raw))
        else:
            limit = min(_number(on) or 100, RECENT_MAX)
            done = try_on_recent(site=user.site, rules=compiled, limit=limit)
    except LynceusError as error:
        faults = error.extra.get("errors", [])
        where = "; ".join(f"event {one['index'] + 1}, {one['field']}: {one['code']}" for one in faults[:5])
        about.add_error("events", f"{error.message} {where}".strip())
        return None
    record("rules.tried", site=user.site, actor=user, detail={"count": len(done.tried)})
    return done


def _editor(
    request: HttpRequest,
    rules: BaseRules,
    about: VersionForm,
    *,
    tried: DryRun | None = None,
    status: int = 200,
) -> HttpResponse:
    if isinstance(rules.data, QueryDict) and (rules.total_error_count() or about.errors):
        without_card_numbers(rules.data)
    context = {
        "rules": rules,
        "about": about,
        "tried": tried,
        "shown": sorted(tried.hit, key=lambda one: not one.changed)[:TRIED_SHOWN] if tried else [],
        "fields": [(name, field) for name, field in FIELDS.items() if name not in FEATURE_NAMES],
        "features": [(name, FIELDS[name]) for name in FEATURE_NAMES],
        "completions": completions(),
        "start": version_in_service(user_of(request).site),
        **ACTIVE,
    }
    return render(request, "fraud/new_version.html", context, status=status)


def _number(given: str | None) -> int:
    return int(given) if given and given.isascii() and given.isdigit() and len(given) < 7 else 0
