"""Propose, switch on and switch off what is let through to learn from. Two people stand behind it."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Max

from apps.accounts.models import Site, User
from apps.audit.services import record
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.fraud.models import PassThroughPolicy, PassThroughSwitch
from apps.fraud.rules.passing import policy_on, why_not
from apps.fraud.rules.services.rulesets import moved, revision_locked


@transaction.atomic
def propose_policy(
    *, site: Site, probability: float, daily_cap_minor: int, note: str, by: User
) -> PassThroughPolicy:
    """Without effect until somebody else switches it on."""
    revision_locked(site)
    last = PassThroughPolicy.objects.filter(site=site).aggregate(last=Max("number"))["last"]
    policy = PassThroughPolicy.objects.create(
        site=site, number=(last or 0) + 1, probability=probability, daily_cap_minor=daily_cap_minor,
        note=note, proposed_by=by, proposed_at=now(),
    )  # fmt: skip
    detail = {"number": policy.number, "probability": probability, "daily_cap_minor": daily_cap_minor}
    record("pass_through.proposed", site=site, actor=by, subject=f"pass_policy:{policy.pk}", detail=detail)
    return policy


@transaction.atomic
def switch_on(*, policy: PassThroughPolicy, by: User) -> None:
    """From the next batch on. LynceusError 403 for who proposed it, 409 for the one that is on."""
    revision_locked(policy.site)
    if policy_on(policy.site) == policy:
        raise LynceusError("already_on", "This policy is on already.", status=409)
    if (why := why_not(policy, by)) is not None:
        raise LynceusError("four_eyes", why, status=403)
    _switch(policy.site, policy, by)


@transaction.atomic
def switch_off(*, site: Site, by: User) -> None:
    """One person is enough to stop. Stopping twice changes nothing."""
    revision_locked(site)
    if policy_on(site) is not None:
        _switch(site, None, by)


def _switch(site: Site, policy: PassThroughPolicy | None, by: User) -> None:
    PassThroughSwitch.objects.create(site=site, policy=policy, by=by, at=now())
    moved(site)
    record(
        "pass_through.on" if policy else "pass_through.off",
        site=site,
        actor=by,
        subject=f"pass_policy:{policy.pk}" if policy else "",
    )
