"""What the alert page shows, put together: the story, what the model made of it, money, people and work."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.urls import reverse

from apps.accounts.models import Site, User
from apps.audit.selectors import events_of
from apps.core.clock import now
from apps.fraud.alerts.alert_charts import told
from apps.fraud.alerts.card_events import CardEvents, card_events
from apps.fraud.alerts.issuer import answers_of
from apps.fraud.alerts.liability import bears_loss, money_left
from apps.fraud.alerts.linked import linked_to
from apps.fraud.alerts.reason_values import added_up
from apps.fraud.alerts.story import story_of
from apps.fraud.common.selectors import action_for, decisions_among, deliveries_of
from apps.fraud.decide.services.reasons import influences_of, reasons_of
from apps.fraud.lifecycle.shadow_figures import VERDICTS, said_context
from apps.fraud.models import (
    Action,
    Alert,
    AlertStatus,
    Decision,
    Desk,
    FraudLabel,
    Outcome,
    Transaction,
    WorkItem,
)
from apps.fraud.templatetags.payments import amount
from apps.fraud.work.queue import WorkFilter, work_page

TIMELINE_MAX, WAITING_MAX, SIBLINGS_MAX, LOOKERS_MAX = 25, 12, 20, 5
LOOKS_READ = 100
WORTH_A_BAR = 0.2  # log-odds: where none moved it by more, no bar shall look as if one had
WOULD_HAVE = {Outcome.DECLINE: "declined", Outcome.REVIEW: "reviewed"}


@dataclass(frozen=True, slots=True)
class Looker:
    """Who opened this payment before, when last, and how often."""

    name: str
    at: datetime
    times: int


def alert_context(site: Site, made: Decision) -> dict[str, Any]:
    paid, events = made.transaction, card_events(site, made.transaction)
    reasons, linked = reasons_of(made), linked_to(site, made.transaction)
    rules = [reason for reason in reasons if reason["weight"] is None]
    action = action_for(paid.source, made)
    return {
        "decision": made,
        "event": paid,
        "original": paid.duplicate_of,
        "story": story_of(made, events, linked, [rule for rule in rules if not rule.get("shadow")]),
        "rules": rules,
        "linked": list(linked.values()),
        "timeline": timeline_of(made, events),
        "places": bool(events.located()),
        "action": Action(action).label,
        "left": money_left(paid, action, taken_back(paid)),
        "bears": bears_loss(paid),
        "answers": answers_of(paid),
        "deliveries": deliveries_of(made),
        "labels": FraudLabel.objects.filter(transaction=paid).order_by("-pk"),
        "pruned": not hasattr(made, "evidence"),
        **_of_model(site, made, reasons),
        **_after_the_fact(made),
        **said_context(made),
    }


def _of_model(site: Site, made: Decision, reasons: list[dict[str, Any]]) -> dict[str, Any]:
    weighed = [reason for reason in reasons if reason["weight"] is not None]
    found: dict[str, Any] = {"network": _network_of(site, reasons)}
    if made.score is not None:
        summed = added_up(weighed, made.score)
        found |= {
            "reasons": summed.rows, "log_odds": summed.total, "total_text": f"Score {made.score:.2f}",
        }  # fmt: skip
    if by_score := made.outcome_by_score:
        found |= {"verdict": VERDICTS[by_score], "suspect": by_score != Outcome.APPROVE}
    return found


def taken_back(paid: Transaction) -> list[Transaction]:
    """Reversals and refunds of it that came."""
    return list(Transaction.objects.filter(reversal__original=paid).order_by("pk"))


def timeline_of(made: Decision, events: CardEvents) -> list[dict[str, Any]]:
    """Newest first, this payment among them, each with its move and what it moved the network by."""
    moves, weights = events.moves(), influences_of(made)
    after = events.after[: TIMELINE_MAX // 3]
    before = events.before[-(TIMELINE_MAX - 1 - len(after)) :]
    strongest = max([WORTH_A_BAR, *map(abs, weights.values())])
    rows = []
    for row in reversed((*before, events.paid, *after)):
        of = getattr(row, "decision", None)
        weight = weights.get(of.pk) if of else None
        move = moves.get(row.pk)
        rows.append({
            "event": row, "this": row.pk == events.paid.pk, "move": told(move) if move else "",
            "impossible": bool(move and move.impossible), "weight": weight, "moved_by": _signed(weight),
            "share": abs(weight) / strongest if weight else 0.0,
        })  # fmt: skip
    return rows


def _signed(weight: float | None) -> str:
    if weight is None:
        return ""
    return f"{weight:+.2f}" if abs(weight) >= 0.005 else "0.00"


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


def lookers_of(site: Site, paid: Transaction) -> list[Looker]:
    """People, the latest first, from the newest LOOKS_READ times this payment was opened."""
    seen = events_of(site, action="transaction.viewed", subject=f"transaction:{paid.pk}")[:LOOKS_READ]
    at: dict[int, list[datetime]] = {}
    for look in seen:
        kind, _, number = look.actor.partition(":")
        if kind == "user":
            at.setdefault(int(number), []).append(look.at)
    people = User.objects.in_bulk(list(at)[:LOOKERS_MAX])
    return [
        Looker(people[pk].full_name or people[pk].email, at[pk][0], len(at[pk]))
        for pk in list(at)[:LOOKERS_MAX]
        if pk in people
    ]


def work_context(site: Site, made: Decision, user: User) -> dict[str, Any]:
    """Who holds the card, its other open alerts, and what else waits on the desk."""
    shown = lock_context(made, user)
    item: WorkItem | None = shown["item"]
    return {
        **shown,
        "siblings": _siblings(site, made),
        "waiting": work_page(site, WorkFilter(item.desk if item else Desk.LOSS), rows=WAITING_MAX).entries,
        "shown_at": now(),
    }


def lock_context(made: Decision, user: User) -> dict[str, Any]:
    """The alert's work item and who holds it; `lock_mark` changes whenever what is shown of that does."""
    alert: Alert | None = getattr(made, "alert", None)
    item = alert.item if alert else None
    holder = item.locked_by if item and item.is_held(now()) else None
    return {
        "alert": alert,
        "item": item,
        "is_open": alert is not None and alert.status == AlertStatus.OPEN,
        "holder": holder,
        "mine": holder == user,
        "lock_mark": "-".join(
            (alert.status if alert else "", str(item.pk if item else 0), str(holder.pk if holder else 0))
        ),
    }


def _siblings(site: Site, made: Decision) -> list[Alert]:
    """The card's other open alerts of either desk, the most at stake first."""
    found = Alert.objects.filter(
        item__site=site, item__desk__in=Desk.values, item__card_token=made.transaction.card_token,
        item__closed_at=None, status=AlertStatus.OPEN,
    ).exclude(decision=made)  # fmt: skip
    rows = found.select_related("decision__transaction").order_by("-at_stake_minor", "-pk")
    return list(rows[:SIBLINGS_MAX])
