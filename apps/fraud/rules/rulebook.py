"""Reads of a site's rules and lists: versions, the one in service, what changed between two, entries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from apps.accounts.models import Role, Site, User
from apps.core.clock import now
from apps.fraud.models import Backtest, ListEntry, RuleActivation, RuleSet
from apps.fraud.rules import builtin_rules


def built_in(site: Site) -> RuleSet:
    """Version 1, which every site has without a row."""
    return RuleSet(
        site=site,
        number=builtin_rules.NUMBER,
        rules=builtin_rules.RULES,
        note="Built in: where every site begins.",
    )


def version_in_service(site: Site) -> RuleSet:
    newest = RuleActivation.objects.select_related("ruleset__site").filter(site=site).order_by("-id").first()
    return (newest.ruleset if newest else None) or built_in(site)


def version_for(site: Site, number: int) -> RuleSet | None:
    if number == builtin_rules.NUMBER:
        return built_in(site)
    return RuleSet.objects.select_related("author", "site").filter(site=site, number=number).first()


def versions_of(site: Site) -> list[RuleSet]:
    """The newest first, the built-in one last."""
    return [*RuleSet.objects.select_related("author").filter(site=site).order_by("-number"), built_in(site)]


def activations_of(site: Site, version: RuleSet | None = None) -> QuerySet[RuleActivation]:
    """The newest first; of one version or of all."""
    found = RuleActivation.objects.select_related("by", "ruleset").filter(site=site).order_by("-id")
    if version is None:
        return found
    return found.filter(ruleset_id=version.pk) if version.pk else found.filter(ruleset=None)


def approvers_of(site: Site) -> dict[int | None, User]:
    """By the version's primary key, who put it in service first: with its author they stand behind it."""
    return {one.ruleset_id: one.by for one in activations_of(site)}  # the newest first: the first one stays


def analysts_of(site: Site) -> int:
    return User.objects.filter(site=site, role=Role.FRAUD_ANALYST, is_active=True).count()


@dataclass(frozen=True, slots=True)
class Changed:
    """One rule beside the same of the version before: `how` is added, removed, changed or kept."""

    how: str
    rule: dict[str, Any]
    fields: tuple[tuple[str, Any, Any], ...] = ()  # name, before, now


def changes(before: RuleSet | None, version: RuleSet) -> list[Changed]:
    """In the order of the rules, what is gone last. A rule is the same while code and action are."""
    was = {_key(rule): rule for rule in before.rules} if before else {}
    found = []
    for rule in version.rules:
        old = was.pop(_key(rule), None)
        if old is None:
            found.append(Changed("added" if before else "kept", rule))
            continue
        fields = tuple((name, old[name], value) for name, value in rule.items() if old[name] != value)
        found.append(Changed("changed" if fields else "kept", rule, fields))
    return found + [Changed("removed", rule) for rule in was.values()]


def unshadowed(site: Site, version: RuleSet) -> list[dict[str, Any]]:
    """The live rules that decide what nobody has seen them do: neither in service live nor in shadow before.

    A rule is another once its condition is.
    """
    if version.pk is None or version.activations.exists():
        return []
    seen = {_what(rule) for rule in built_in(site).rules}
    for earlier in RuleSet.objects.filter(site=site, activations__isnull=False).distinct():
        seen |= {_what(rule) for rule in earlier.rules}
    return [rule for rule in version.rules if not rule["shadow"] and _what(rule) not in seen]


def _what(rule: dict[str, Any]) -> tuple[str, str]:
    return rule["when"], rule["action"]


def _key(rule: dict[str, Any]) -> tuple[str, str]:
    return rule["code"], rule["action"]


def entries_of(site: Site, *, ended: bool) -> QuerySet[ListEntry]:
    """What holds now, or what has ended or expired; the newest first."""
    over = Q(ended_at__isnull=False) | Q(expires_at__lte=now())
    found = ListEntry.objects.select_related("author", "ended_by").filter(site=site)
    return (found.filter(over) if ended else found.exclude(over)).order_by("-id")


def entry_for(site: Site, pk: int) -> ListEntry | None:
    return ListEntry.objects.select_related("site").filter(site=site, pk=pk).first()


def backtests_of(site: Site) -> QuerySet[Backtest]:
    """The newest first."""
    return Backtest.objects.select_related("by").filter(site=site).order_by("-id")


def backtest_for(site: Site, public_id: UUID) -> Backtest | None:
    return backtests_of(site).select_related("site").filter(public_id=public_id).first()
