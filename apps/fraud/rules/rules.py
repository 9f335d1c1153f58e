"""Hard rules as data: they hold beside the model and decide alone when it cannot answer.

The order of precedence is `settle`'s and nobody else's; docs/rules.md says it in words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, field
from string import Formatter
from typing import Any

import structlog

from apps.core.clock import now
from apps.fraud.common.listed import ALLOW_LIST, BLOCK_LIST, Listed
from apps.fraud.models import Outcome, Transaction
from apps.fraud.rules.expressions import Expression, Fault, compiled
from apps.fraud.rules.facts import FIELDS, KINDS, OF_STATE, WINDOW, Facts, Features, Payments
from apps.fraud.rules.holding import Holding
from ml.fraud.contracts import Thresholds

__all__ = ["WINDOW", "Rule", "RuleHit", "Rules", "compile_rule", "settle"]
log = structlog.get_logger(__name__)
SEVERITY = {Outcome.APPROVE: 0, Outcome.REVIEW: 1, Outcome.DECLINE: 2}


@dataclass(frozen=True, slots=True)
class RuleHit:
    """A rule or list that fired: what it asks for, and why, in words. In shadow it asks for nothing."""

    code: str
    outcome: Outcome
    text: str
    value: float | str
    baseline: float | str
    shadow: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """As an analyst wrote it and the database keeps it.

    `value` names a field and `baseline` a field, a number or a word; `text` may hold {value} and {baseline}.
    """

    code: str
    when: str
    action: str
    text: str
    value: str = ""
    baseline: str = ""
    shadow: bool = False

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class CompiledRule:
    rule: Rule
    expression: Expression
    baseline: Callable[[Facts], float | str]

    def hit(self, facts: Facts) -> RuleHit:
        rule = self.rule
        value = facts[rule.value] if rule.value else ""
        baseline = self.baseline(facts)
        return RuleHit(
            rule.code, Outcome(rule.action), self._text(value, baseline, facts), value, baseline, rule.shadow
        )

    def _text(self, value: Any, baseline: Any, facts: Facts) -> str:
        field = FIELDS.get(self.rule.value)
        if field is None or "{" not in self.rule.text:
            return self.rule.text.format(value=value, baseline=baseline)
        said = field.said(baseline, facts) if isinstance(baseline, int | float) else baseline
        return self.rule.text.format(value=field.said(value, facts), baseline=said)


def compile_rule(rule: Rule) -> CompiledRule:
    """Raises Fault for a condition that cannot be, KeyError or ValueError for the rest."""
    named = {name for _, name, _, _ in Formatter().parse(rule.text) if name is not None}
    if not named <= {"value", "baseline"}:
        raise ValueError("text")
    if rule.value:
        FIELDS[rule.value]
    return CompiledRule(rule, compiled(rule.when, KINDS), _baseline(rule.baseline))


def _baseline(given: str) -> Callable[[Facts], float | str]:
    if given in FIELDS:
        return lambda facts: facts[given]
    known: float | str
    try:
        known = int(given)
    except ValueError:
        try:
            known = float(given)
        except ValueError:
            known = given
    return lambda _: known


@dataclass(frozen=True, slots=True)
class PassingThrough:
    """The policy by which some of what the model would decline is let through."""

    policy_id: int
    number: int
    probability: float
    daily_cap_minor: int


@dataclass(frozen=True, slots=True)
class Rules:
    """What a site decides by: one version of its rules, ready to be asked, its lists, its thresholds by
    artefact, and what it lets through to learn from, None while it does not."""

    version: int
    rules: tuple[CompiledRule, ...]
    listed: Listed
    revision: int = 0
    limits: Mapping[str, Holding] = field(default_factory=dict)
    passing: PassingThrough | None = None
    failures: Counter[str] = field(default_factory=Counter)

    def limits_now(self, artefact_hash: str, trained: Thresholds) -> Thresholds:
        """Asked at each batch, so that what holds for some hours ends on time whoever sleeps."""
        holding = self.limits.get(artefact_hash)
        return (holding.at(now()) if holding else None) or trained

    @property
    def look_at_state(self) -> bool:
        """Whether any rule does: else nobody need work the features out where no model did."""
        return any(rule.expression.names & OF_STATE for rule in self.rules)

    def hits(self, row: Transaction, earlier: Payments, features: Features | None = None) -> list[RuleHit]:
        """What fired, the block list first and the allow list last; for the arguments see `Facts`.

        A rule that fails does not fire; that is counted and logged, and the others go on.
        """
        facts = Facts(row, earlier, features)
        found = []
        if (entry := self.listed.blocked(row)) is not None:
            said = f"The {entry.kind.label.lower()} is on the block list."
            found.append(RuleHit(BLOCK_LIST, Outcome.DECLINE, said, str(entry.kind), entry.pk))
        for one in self.rules:
            try:
                if one.expression.holds(facts):
                    found.append(one.hit(facts))
            except Exception as error:  # whatever it is, the other rules and the decision stand
                self._failed(one.rule.code, error)
        if (entry := self.listed.allowed(row)) is not None:
            said = f"The {entry.kind.label.lower()} is on the allow list."
            found.append(RuleHit(ALLOW_LIST, Outcome.APPROVE, said, str(entry.kind), entry.pk))
        return found

    def _failed(self, code: str, error: Exception) -> None:
        self.failures[code] += 1
        count = self.failures[code]
        if count & (count - 1) == 0:  # the 1st, 2nd, 4th ...: one that always fails must not fill the log
            name = type(error).__name__
            log.warning("rule_failed", code=code, version=self.version, times=count, error=name)


def ready(rules: Iterable[Mapping[str, Any]], version: int) -> tuple[CompiledRule, ...]:
    """Compiled; one that no longer can be (its feature is gone) is left out and logged."""
    found = []
    for one in rules:
        try:
            found.append(compile_rule(Rule(**one)))
        except (Fault, KeyError, ValueError, TypeError) as error:
            log.error("rule_unusable", code=one.get("code"), version=version, error=str(error)[:200])
    return tuple(found)


def answerable(names: Set[str], *, kept: bool, with_history: bool) -> bool:
    """Whether a condition over these fields can be asked of a payment that was decided.

    `kept`: what the model saw of it still is; `with_history`: that was of the card's history. Without it the
    model saw what it sees of a card that is new, which is an answer only to who asks `has_state` too.
    """
    return not names & OF_STATE or (kept and (with_history or "has_state" in names))


def settle(hits: Iterable[RuleHit], by_model: Outcome | None) -> Outcome:
    """Block list, then decline rule, then review rule, then what allows, then the model.

    The severest of what block list, rules and model ask for; what allows takes the model's word away and
    nobody else's. A rule in shadow asks for nothing.
    """
    asked = [hit.outcome for hit in hits if not hit.shadow]
    if by_model is not None and Outcome.APPROVE not in asked:
        asked.append(by_model)
    return max(asked, key=SEVERITY.__getitem__, default=Outcome.APPROVE)


def main_hit(hits: Sequence[RuleHit]) -> RuleHit | None:
    """What spoke first against the payment, else what allowed it."""
    live = [hit for hit in hits if not hit.shadow]
    against = [hit for hit in live if hit.outcome != Outcome.APPROVE]
    return next(iter(against or live), None)
