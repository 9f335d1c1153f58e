"""A site's rules: the ones in service, saving a version, and putting one in service."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from operator import itemgetter

from django.db import transaction
from django.db.models import F, Max

from apps.accounts.models import Role, Site, User
from apps.audit.services import record
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.core.sql import Answered, run
from apps.fraud.common.listed import Listed
from apps.fraud.models import ListEntry, RuleActivation, RuleRevision, RuleSet
from apps.fraud.rules import builtin_rules
from apps.fraud.rules.operating import holdings_of
from apps.fraud.rules.passing import passing_of
from apps.fraud.rules.rulebook import analysts_of, unshadowed, version_in_service
from apps.fraud.rules.rules import CompiledRule, Rule, Rules, ready

# What this process knows, by site: rules are compiled once a version, lists are read whole once and then
# by their changes.
_kept: dict[int, Rules] = {}
_lock = threading.Lock()


def active_rules(site: Site) -> Rules:
    """The rules and lists in service: one query of one row unless something changed since the last look."""
    return rules_of(site, ask_revision(site))


def ask_revision(site: Site) -> Answered:
    """Within a round trip of the caller's; read with `rules_of` after it."""
    return run("SELECT number FROM fraud_rulerevision WHERE site_id = %s", [site.pk])


def rules_of(site: Site, asked: Answered) -> Rules:
    [(revision,)] = asked.fetchall() or [(0,)]
    kept = _kept.get(site.pk)
    if kept is not None and kept.revision == revision:
        return kept
    with _lock:
        kept = _kept.get(site.pk)
        if kept is None or kept.revision != revision:
            kept = _kept[site.pk] = _read(site, kept, revision)
        return kept


def forget() -> None:
    """Nothing is known any more: the next look reads all of it."""
    _kept.clear()


def _read(site: Site, before: Rules | None, revision: int) -> Rules:
    if before is not None and before.revision > revision:
        before = None  # another database than before: restored, or a test's
    active = version_in_service(site)
    if before is not None and before.version == active.number:
        rules, failures = before.rules, before.failures
    else:
        rules, failures = compiled_version(active), Counter()
    listed = _listed(site, before)
    return Rules(active.number, rules, listed, revision, holdings_of(site), passing_of(site), failures)


def _listed(site: Site, before: Rules | None) -> Listed:
    """All that holds, or what is known already with what changed since."""
    listed = before.listed if before is not None else Listed()
    entries = ListEntry.objects.filter(site=site)
    if before is not None:
        entries = entries.filter(revision__gt=before.revision)
    else:
        entries = entries.filter(ended_at=None).exclude(expires_at__lte=now())
    columns = entries.values_list("revision", "pk", "list", "kind", "value", "expires_at", "ended_at")
    # In the order of the changes, and sorted here: the database took a minute for a full list.
    for _, pk, name, kind, value, expires_at, ended_at in sorted(columns.order_by(), key=itemgetter(0, 1)):
        listed.learn(pk, name, kind, value, ended_at is None, expires_at)
    return listed


def compiled_version(version: RuleSet) -> tuple[CompiledRule, ...]:
    return ready(version.rules, version.number)


@transaction.atomic
def save_version(*, site: Site, author: User, rules: Sequence[Rule], note: str) -> RuleSet:
    """The next version, out of service until somebody activates it. The rules must have been checked."""
    revision_locked(site)
    last = RuleSet.objects.filter(site=site).aggregate(last=Max("number"))["last"]
    version = RuleSet.objects.create(
        site=site,
        number=(last or builtin_rules.NUMBER) + 1,
        rules=[rule.as_json() for rule in rules],
        author=author,
        note=note,
        created_at=now(),
    )
    record(
        "rules.saved",
        site=site,
        actor=author,
        subject=f"ruleset:{version.pk}",
        detail={"number": version.number, "rules": len(rules)},
    )
    return version


@transaction.atomic
def activate_version(*, site: Site, version: RuleSet, by: User, without_shadow: bool = False) -> None:
    """Put a version in service, or back in service. LynceusError 403 for who may not.

    409 for the one that is, and, unless that is wanted `without_shadow`, for one with a live rule that never
    was in shadow.
    """
    revision_locked(site)
    before = version_in_service(site)
    if before.number == version.number:
        raise LynceusError("already_active", "This version is in service already.", status=409)
    if (why := who_else(version, by)) is not None:
        raise LynceusError("four_eyes", why, status=403)
    unseen = [rule["code"] for rule in unshadowed(site, version)]
    if unseen and not without_shadow:
        raise LynceusError(
            "shadow_first",
            f"Never in shadow: {', '.join(unseen)}. Put them in shadow first, or say that it must be now.",
            status=409,
        )
    RuleActivation.objects.create(
        site=site, ruleset=version if version.pk is not None else None, by=by, at=now()
    )
    moved(site)
    record(
        "rules.activated",
        site=site,
        actor=by,
        subject=f"ruleset:{version.pk or 'built-in'}",
        detail={"number": version.number, "before": before.number, "without_shadow": unseen},
    )


def who_else(version: RuleSet, by: User) -> str | None:
    """Why this person may not put it in service, or None: two people stand behind what decides.

    What was in service once has had its second person. Where one analyst is alone an operator is it.
    """
    if version.pk is None or version.activations.exists():
        return None
    if version.author_id == by.pk:
        return "You wrote this version: somebody else puts it in service."
    if by.role == Role.OPERATOR and analysts_of(version.site) > 1:
        return "This site has another analyst, who puts it in service."
    return None


def revision_locked(site: Site) -> None:
    """Until the transaction ends nobody else changes the site's rules or lists."""
    RuleRevision.objects.bulk_create([RuleRevision(site=site)], ignore_conflicts=True)
    RuleRevision.objects.select_for_update().get(site=site)


def moved(site: Site) -> int:
    """The next revision. Under its lock."""
    RuleRevision.objects.filter(site=site).update(number=F("number") + 1)
    return RuleRevision.objects.values_list("number", flat=True).get(site=site)
