"""Reads of the pass-through sample: its policies, the one that is on, what today has drawn."""

from __future__ import annotations

from datetime import date

from django.db.models import Max, QuerySet

from apps.accounts.models import Site, User
from apps.fraud.models import PassThroughDay, PassThroughPolicy, PassThroughSwitch
from apps.fraud.rules.rules import PassingThrough


def policies_of(site: Site) -> QuerySet[PassThroughPolicy]:
    """The newest first, each with when it was last switched on."""
    found = PassThroughPolicy.objects.filter(site=site).annotate(switched_at=Max("switches__at"))
    return found.select_related("proposed_by").order_by("-number")


def policy_for(site: Site, number: int) -> PassThroughPolicy | None:
    return PassThroughPolicy.objects.select_related("site").filter(site=site, number=number).first()


def switches_of(site: Site) -> QuerySet[PassThroughSwitch]:
    """The newest first."""
    return PassThroughSwitch.objects.select_related("by", "policy").filter(site=site).order_by("-id")


def policy_on(site: Site) -> PassThroughPolicy | None:
    newest = switches_of(site).first()
    return newest.policy if newest else None


def passing_of(site: Site) -> PassingThrough | None:
    """As deciding needs it."""
    if (policy := policy_on(site)) is None:
        return None
    return PassingThrough(policy.pk, policy.number, policy.probability, policy.daily_cap_minor)


def drawn_minor(site: Site, day: date) -> int:
    """What the day's draws come to, those beyond the cap among them."""
    row = PassThroughDay.objects.filter(site=site, day=day).values_list("drawn_minor", flat=True).first()
    return row or 0


def why_not(policy: PassThroughPolicy, by: User) -> str | None:
    """Why this person may not switch it on, or None: two people stand behind it, each time."""
    if policy.proposed_by_id == by.pk:
        return "You proposed this: somebody else switches it on."
    return None
