"""A desk's capacity, and what more of it would bring: set by a person, worked out by the worker."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from django.db import transaction
from django.db.models import F, OuterRef, Subquery

from apps.accounts.models import Site, User
from apps.audit.services import record
from apps.core.bell import ring
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.fraud.models import Alert, Desk, DeskBudget, FraudLabel, Source
from apps.fraud.rules.operating import held_by, points_of
from apps.fraud.work.budget import PER_DAY, WINDOW_DAYS, budget_of, more_than
from apps.modelops.common.selectors import champion
from apps.modelops.models import ModelVersion
from ml.fraud.budget import Gain, Queued, declines, gained, reviews
from ml.fraud.contracts import Thresholds

TASK = "fraud.work_out_budgets"
STALE = timedelta(hours=6)
MATURE = timedelta(days=60)  # as freeze_decided takes it: by then what is known of a payment is known


@transaction.atomic
def set_capacity(*, site: Site, desk: Desk, alerts_per_day: int, by: User) -> None:
    """From now on. What more would bring is worked out anew."""
    before = budget_of(site, desk).alerts_per_day
    DeskBudget.objects.update_or_create(
        site=site, desk=desk, defaults={"alerts_per_day": alerts_per_day, "set_by": by, "set_at": now()}
    )
    detail = {"desk": str(desk), "before": before, "alerts_per_day": alerts_per_day}
    record("capacity.set", site=site, actor=by, subject=f"site:{site.pk}", detail=detail)
    ring(TASK)


def ring_stale_budgets() -> int:
    """For the sweeper: ring once where a desk's figures are old, or of another model, limit or capacity."""
    if next(_stale(), None) is None:
        return 0
    ring(TASK)
    return 1


def work_out_budgets() -> int:
    """Every desk's whose figures are stale; returns how many."""
    found = list(_stale())
    for budget, version, basis in found:
        figures = {
            "held_out": _held_out(budget.site, Desk(budget.desk), budget.alerts_per_day, version),
            "recent": _recent(budget.site, Desk(budget.desk), budget.alerts_per_day),
        }
        new = {"figures": figures, "basis": basis, "worked_out_at": now()}
        DeskBudget.objects.update_or_create(
            site=budget.site, desk=budget.desk, defaults=new,
            create_defaults={"alerts_per_day": PER_DAY, **new},
        )  # fmt: skip
    return len(found)


def _stale() -> Iterator[tuple[DeskBudget, ModelVersion | None, str]]:
    version, at = champion("fraud"), now()
    for site in Site.objects.filter(pk__in=Source.objects.filter(is_active=True).values("site")).order_by(
        "pk"
    ):
        point = points_of(site, version).values_list("pk", flat=True).first() if version else None
        for desk in Desk:
            budget = budget_of(site, desk)
            hash_ = version.artefact_hash if version else ""
            basis = f"{hash_} {point or ''} {budget.alerts_per_day}"
            if budget.basis != basis or budget.worked_out_at is None or budget.worked_out_at < at - STALE:
                yield budget, version, basis


def _held_out(site: Site, desk: Desk, per_day: int, version: ModelVersion | None) -> dict[str, Any]:
    """By the champion's validation days, at the thresholds that hold here. Never its test."""
    if version is None:
        return {"why_not": "No model is in service."}
    try:
        held = held_by(version.artefact_hash)
    except LynceusError as error:
        return {"why_not": error.message}
    newest = points_of(site, version).first()
    limits = Thresholds(newest.review, newest.decline) if newest else held.trained
    queued = reviews(held.table, limits) if desk == Desk.LOSS else declines(held.table, limits)
    return _said(gained(queued, per_day, more_than(per_day)), "held-out") | {"version": version.number}


def _recent(site: Site, desk: Desk, per_day: int) -> dict[str, Any]:
    """By this site's own alerts, old enough for their truth to be known, and by nothing where it is not."""
    until = now() - MATURE
    since = until - timedelta(days=WINDOW_DAYS)
    rows = list(_matured(site, desk, since, until))
    if not rows:
        return {"why_not": f"No alert with a known truth is older than {MATURE.days} days."}
    first = min(at for at, _, _ in rows)
    n_days = (until - first).days
    days = np.array([(at - first).days for at, _, _ in rows])
    whole = days < n_days
    stakes, worth = (np.array([row[n] for row in rows], dtype=np.float64)[whole] for n in (1, 2))
    queued = Queued(days[whole], stakes, worth, n_days)
    return _said(gained(queued, per_day, more_than(per_day)), "matured")


def _matured(
    site: Site, desk: Desk, since: datetime, until: datetime
) -> Iterator[tuple[datetime, int, float]]:
    """When each alert came, what put it where it stood, and what a review of it is worth by the last word
    on it; nothing of any where not one has a word."""
    said = FraudLabel.objects.filter(transaction=OuterRef("decision__transaction"))
    last = said.order_by("-received_at", "-pk").values("fraud")[:1]
    alerts = Alert.objects.filter(
        site=site, item__desk=desk, created_at__gte=since, created_at__lt=until
    ).annotate(fraud=Subquery(last), amount=F("amount_reporting_minor"))
    rows = list(alerts.values_list("created_at", "at_stake_minor", "amount", "fraud"))
    if all(fraud is None for *_, fraud in rows):
        return
    wanted = desk == Desk.LOSS
    for at, stake, amount, fraud in rows:
        yield at, stake or 0, float(amount) if fraud is wanted else 0.0


def _said(gain: Gain | None, kind: str) -> dict[str, Any]:
    return {"why_not": f"There are too few {kind} days."} if gain is None else asdict(gain)
