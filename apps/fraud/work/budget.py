"""Reads: how many alerts a desk reviews a day, and the sentences on what more of them would bring."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from apps.accounts.models import Site
from apps.fraud.common.money import REPORTING_CURRENCY, format_minor
from apps.fraud.models import Desk, DeskBudget

PER_DAY = 80  # of a desk for which nobody has said it yet
PER_DAY_MAX = 5_000
WINDOW_DAYS = 90
WHAT = {Desk.LOSS: "of fraud caught", Desk.FRICTION: "of legitimate payments let through"}
DAYS = {"held_out": "held-out days", "recent": "days of this site's own matured alerts"}


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a larger budget brings by one kind of days. `value` is empty where `says` tells why."""

    days: str
    value: str
    interval: str
    says: str


@dataclass(frozen=True, slots=True)
class BudgetShown:
    """`outlooks` is empty while the worker has not worked out what holds now."""

    per_day: int
    more: int
    set_by: str
    outlooks: list[Outlook]
    worked_out_at: datetime | None


def more_than(per_day: int) -> int:
    """The next budget a desk is shown: half as much again, 80 -> 120."""
    return per_day + max(1, per_day // 2)


def budget_of(site: Site, desk: str) -> DeskBudget:
    """As it was set, else one that is not stored."""
    found = DeskBudget.objects.filter(site=site, desk=desk).select_related("set_by", "site").first()
    return found or DeskBudget(site=site, desk=desk, alerts_per_day=PER_DAY)


def shown(budget: DeskBudget) -> BudgetShown:
    # Figures of another capacity are not shown: they would be of other numbers than the page names.
    current = budget.basis.endswith(f" {budget.alerts_per_day}")
    outlooks = [_outlook(Desk(budget.desk), name, budget.figures[name]) for name in DAYS] if current else []
    by = budget.set_by
    return BudgetShown(
        per_day=budget.alerts_per_day,
        more=more_than(budget.alerts_per_day),
        set_by=(by.full_name or by.email) if by else "",
        outlooks=outlooks,
        worked_out_at=budget.worked_out_at,
    )


def _outlook(desk: Desk, name: str, found: dict[str, Any]) -> Outlook:
    days = DAYS[name]
    if why := found.get("why_not"):
        return Outlook(days, "", "", why)
    days = f"{found['n_days']} {days}"
    if "version" in found:
        days += f" of version {found['version']}"
    if not found["beyond_days"]:
        says = f"No such day had more alerts than are reviewed: {found['per_day']:,.1f} in the mean."
        return Outlook(days, "", "", says)
    low, high = _money(found["low_minor"]), _money(found["high_minor"])
    return Outlook(days, f"+{_money(found['value_minor'])}", f"{low} to {high}", f"{WHAT[desk]} a day")


def _money(minor: float) -> str:
    return format_minor(round(minor), REPORTING_CURRENCY)
