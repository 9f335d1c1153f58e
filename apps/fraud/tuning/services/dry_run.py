"""Ask rules of transactions that were, or might be: what would be hit and by what. Nothing is stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from apps.accounts.models import Site
from apps.core.errors import LynceusError
from apps.fraud.common.listed import Listed
from apps.fraud.common.selectors import sources_of
from apps.fraud.decide.services.ingest import rows_of
from apps.fraud.decide.services.look import last_hour
from apps.fraud.decide.services.seen import observed
from apps.fraud.models import (
    DECIDED_TYPES,
    Decision,
    Evidence,
    KeyState,
    Mode,
    Outcome,
    Transaction,
)
from apps.fraud.rules.facts import Features, Payments
from apps.fraud.rules.rules import WINDOW, CompiledRule, RuleHit, Rules, answerable, settle
from apps.fraud.rules.services.rulesets import active_rules
from apps.fraud.wire.validation import CheckedEvent
from ml.fraud.features import N_FEATURES
from ml.fraud.memory import keys_of

EVENTS_MAX = 100
RECENT_MAX = 1000
_AFTER_ALL = 2**62  # a key after every stored one, for rows that are not stored


@dataclass(frozen=True, slots=True)
class Tried:
    """One transaction. `before` is what was decided of it, None where it was only pasted."""

    row: Transaction
    hits: list[RuleHit]
    before: Decision | None
    after: Outcome

    @property
    def changed(self) -> bool:
        return self.before is not None and self.before.outcome != self.after


@dataclass(frozen=True, slots=True)
class DryRun:
    """`left_out`: of how many not all rules were asked, for want of what the model saw of the card."""

    tried: list[Tried]
    failures: dict[str, int]
    left_out: int

    @property
    def hit(self) -> list[Tried]:
        return [one for one in self.tried if one.hits]

    @property
    def changed(self) -> int:
        return sum(one.changed for one in self.tried)

    @property
    def counts(self) -> list[tuple[RuleHit, int]]:
        """How often each rule or list fired, the most often first."""
        first: dict[tuple[str, Outcome, bool], RuleHit] = {}
        times: Counter[tuple[str, Outcome, bool]] = Counter()
        for one in self.tried:
            for hit in one.hits:
                key = hit.code, hit.outcome, hit.shadow
                first.setdefault(key, hit)
                times[key] += 1
        return [(first[key], count) for key, count in times.most_common()]


def try_on_recent(*, site: Site, rules: Sequence[CompiledRule], limit: int) -> DryRun:
    """On the site's last decided transactions, with what was known of each when it was decided, where that
    is an answer: see `answerable`."""
    made = Decision.objects.select_related("transaction__source", "evidence").filter(
        transaction__source__site=site
    )
    decisions = list(made.order_by("-id")[: min(limit, RECENT_MAX)])
    rows = [decision.transaction for decision in decisions]
    features = [_seen(decision) if decision.mode == Mode.FULL else None for decision in decisions]
    earlier = last_hour(site, rows) if rows else []
    asked = [_asked(rules, decision) for decision in decisions]
    return _run(site, asked, rows, earlier, features, decisions)


def try_on_events(*, site: Site, rules: Sequence[CompiledRule], events: Sequence[CheckedEvent]) -> DryRun:
    """On pasted events, as if they came now in this order. LynceusError 409 for a site without a source."""
    source = sources_of(site).select_related("site").first()
    if source is None:
        raise LynceusError("source_required", "The site has no source of transactions yet.", status=409)
    rows = rows_of(source, events, range(_AFTER_ALL, _AFTER_ALL + len(events)))
    rows = [row for row in rows if row.type in DECIDED_TYPES]
    stored = last_hour(site, rows) if rows else []
    earlier: list[Payments] = [[*before, *_pasted_before(rows, index)] for index, before in enumerate(stored)]
    asked = [rules] * len(rows)
    return _run(site, asked, rows, earlier, observed(rows, _states(site, rows)), [None] * len(rows))


def _run(
    site: Site,
    asked: Sequence[Sequence[CompiledRule]],
    rows: Sequence[Transaction],
    earlier: Sequence[Payments],
    features: Sequence[Features | None],
    decisions: Sequence[Decision | None],
) -> DryRun:
    listed: Listed = active_rules(site).listed
    failures: Counter[str] = Counter()
    tried = []
    for rules, row, before, known, decision in zip(asked, rows, earlier, features, decisions, strict=True):
        hits = Rules(0, tuple(rules), listed, failures=failures).hits(row, before, known)
        after = settle(hits, decision.outcome_by_score if decision else None)
        tried.append(Tried(row, hits, decision, after))
    most = max(map(len, asked), default=0)
    return DryRun(tried, dict(failures), sum(len(rules) < most for rules in asked))


def _pasted_before(rows: Sequence[Transaction], index: int) -> list[Transaction]:
    row = rows[index]
    return [
        other
        for other in rows[:index]
        if other.card_token == row.card_token and abs(other.occurred_at - row.occurred_at) <= WINDOW
    ]


def _asked(rules: Sequence[CompiledRule], decision: Decision) -> list[CompiledRule]:
    kept, with_history = _seen(decision) is not None, decision.mode == Mode.FULL
    return [one for one in rules if answerable(one.expression.names, kept=kept, with_history=with_history)]


def _seen(decision: Decision) -> Features | None:
    """The features the decision was made from, while they are kept and mean the same."""
    try:
        vector = bytes(decision.evidence.features)
    except Evidence.DoesNotExist:
        return None
    return np.frombuffer(vector, "<f4") if len(vector) == 4 * (N_FEATURES + 1) else None


def _states(site: Site, rows: Sequence[Transaction]) -> dict[str, bytes]:
    keys = {key for row in rows for key in keys_of(row)}
    found = KeyState.objects.filter(site=site, key__in=keys).exclude(state=b"")
    return {key: bytes(state) for key, state in found.values_list("key", "state")}
