"""The analyst's page of one decision."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from apps.accounts.auth import role_required, user_of
from apps.accounts.models import Role, Site, User
from apps.audit.services import record
from apps.fraud.disposition_panel import panel_of
from apps.fraud.models import Action, Decision, FraudLabel, Outcome
from apps.fraud.selectors import (
    action_for,
    card_timeline,
    decision_for,
    decisions_among,
    deliveries_of,
)
from apps.fraud.services.reasons import reasons_of
from apps.fraud.templatetags.payments import amount

VERDICTS = {
    Outcome.DECLINE: "high enough to decline",
    Outcome.REVIEW: "high enough for a review",
    Outcome.APPROVE: "too low for a review",
}
WOULD_HAVE = {Outcome.DECLINE: "declined", Outcome.REVIEW: "reviewed"}


@require_GET
@role_required(Role.FRAUD_ANALYST)
def decision(request: HttpRequest, public_id: UUID) -> HttpResponse:
    site = _site(request)
    with transaction.atomic():
        found = decision_for(site=site, public_id=public_id)
        if found is None:
            raise Http404
        record(
            "transaction.viewed",
            site=site,
            actor=request.user,  # type: ignore[arg-type]
            subject=f"transaction:{found.transaction_id}",
        )
    reasons = reasons_of(found)
    context = {
        "decision": found,
        "event": found.transaction,
        "action": Action(action_for(found.transaction.source, found)).label,
        "original": found.transaction.duplicate_of,
        "rules": [reason for reason in reasons if reason["weight"] is None],
        "reasons": [reason for reason in reasons if reason["weight"] is not None],
        "network": _network_of(site, reasons),
        "suspect": found.outcome_by_score in (Outcome.REVIEW, Outcome.DECLINE),
        "verdict": VERDICTS[found.outcome_by_score] if found.outcome_by_score else "",
        **_after_the_fact(found),
        "pruned": not hasattr(found, "evidence"),
        "deliveries": deliveries_of(found),
        "timeline": card_timeline(found),
        "labels": FraudLabel.objects.filter(transaction=found.transaction).order_by("-pk"),
        **panel_of(found, user_of(request)),
        "active": "alerts",
    }
    return render(request, "fraud/decision.html", context)


def _after_the_fact(made: Decision) -> dict[str, Any]:
    """What the score that came later says, and what it would have changed; empty where none came."""
    if made.rescored is None:
        return {}
    by_score = Outcome(made.rescored.by_score)
    verdict = VERDICTS[by_score]
    if made.outcome != Outcome.APPROVE or by_score == Outcome.APPROVE:
        after = verdict
    elif made.was_allowed:
        after = f"{verdict}, but a rule or list allows it"
    else:
        after = f"would have been {WOULD_HAVE[made.rescored.would_have_been]}"
    return {"after": after, "late_verdict": verdict, "late_suspect": by_score != Outcome.APPROVE}


def _network_of(site: Site, reasons: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the recurrent network's reason is made of, as rows that add up to it; none where nothing
    is known, or where it knew nothing of the card."""
    reason = next((one for one in reasons if one.get("earlier_events") is not None), None)
    if reason is None or not (reason["earlier_events"] or round(reason["other_events"], 5)):
        return []
    weights = {one["decision"]: one["weight"] for one in reason["earlier_events"]}
    of = decisions_among(site, weights)
    unseen = sum(weight for pk, weight in weights.items() if pk not in of)
    return [
        {"text": "This payment by itself", "weight": reason["this_event"]},
        *(_earlier_row(of[pk], weight) for pk, weight in weights.items() if pk in of),
        {"text": "The card's other earlier payments", "weight": reason["other_events"] + unseen},
    ]


def _earlier_row(made: Decision, weight: float) -> dict[str, Any]:
    row = made.transaction
    return {
        "text": f"{amount(row)} at {row.merchant_id}",
        "href": reverse("fraud:decision", args=[made.public_id]),
        "at": row.occurred_at,
        "weight": weight,
    }


def _site(request: HttpRequest) -> Site:
    user = request.user
    if not isinstance(user, User):
        raise Http404
    return user.site
