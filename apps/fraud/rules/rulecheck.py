"""A rule set as somebody wants to save it: checked rule by rule, each fault with its place."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from apps.core.words import counted
from apps.fraud.common.cardguard import holds_card_number
from apps.fraud.common.listed import ALLOW_LIST, BLOCK_LIST
from apps.fraud.models import Outcome
from apps.fraud.rules.expressions import Fault
from apps.fraud.rules.facts import FIELDS
from apps.fraud.rules.rules import CompiledRule, Rule, compile_rule

RULES_MAX = 100
TEXT_MAX = 160
BASELINE_MAX = 64
CODE = re.compile(r"[a-z][a-z0-9_]{1,39}")
TAKEN = frozenset({BLOCK_LIST, ALLOW_LIST, "other"})


@dataclass(frozen=True, slots=True)
class RuleFault:
    """What is wrong with which field of which rule (None: the set); `at` counts characters from 0."""

    rule: int | None
    field: str
    message: str
    at: int | None = None
    near: str = ""


class FaultyRules(ValueError):
    def __init__(self, faults: Sequence[RuleFault]) -> None:
        super().__init__(f"{counted(len(faults), 'fault')}")
        self.faults = list(faults)


def check_rules(rules: Sequence[Rule]) -> tuple[CompiledRule, ...]:
    """Raises FaultyRules with every fault there is."""
    if len(rules) > RULES_MAX:
        raise FaultyRules([RuleFault(None, "", f"A set holds at most {RULES_MAX} rules.")])
    faults: list[RuleFault] = []
    checked: list[CompiledRule] = []
    seen: set[tuple[str, str]] = set()
    for index, rule in enumerate(rules):
        faults += [RuleFault(index, field, message) for field, message in _plain_faults(rule)]
        if (rule.code, rule.action) in seen:
            faults.append(RuleFault(index, "code", "Another rule has this code and action."))
        seen.add((rule.code, rule.action))
        try:
            checked.append(compile_rule(rule))
        except Fault as fault:
            faults.append(RuleFault(index, "when", fault.message, fault.at, fault.near))
        except KeyError:
            faults.append(RuleFault(index, "value", f"There is no field {rule.value[:40]!r}."))
        except ValueError:
            faults.append(RuleFault(index, "text", "Only {value} and {baseline} may stand in braces."))
    if faults:
        raise FaultyRules(faults)
    return tuple(checked)


def _plain_faults(rule: Rule) -> list[tuple[str, str]]:
    found = []
    if not CODE.fullmatch(rule.code):
        found.append(("code", "Two to forty of a-z, 0-9 and _, a letter first."))
    elif rule.code in TAKEN:
        found.append(("code", "This code has a meaning of its own."))
    if rule.action not in Outcome.values:
        found.append(("action", "Approve, review or decline."))
    if not rule.text.strip() or len(rule.text) > TEXT_MAX or not rule.text.isprintable():
        found.append(("text", f"One line of up to {TEXT_MAX} characters that says why."))
    if len(rule.baseline) > BASELINE_MAX or not (rule.baseline.isprintable() or not rule.baseline):
        found.append(("baseline", f"A field, a number or a word of up to {BASELINE_MAX} characters."))
    if "{value}" in rule.text and not rule.value:
        found.append(("value", "The text shows {value}: say which field that is."))
    if rule.value and rule.value in FIELDS and (why := _unfit(rule)) is not None:
        found.append(("baseline", why))
    found += [
        (name, "This looks like a card number, which belongs in no rule.")
        for name in ("when", "text", "baseline")
        if holds_card_number(getattr(rule, name))
    ]
    return found


def _unfit(rule: Rule) -> str | None:
    """An amount's baseline is written as an amount, so it must be a whole number of minor units."""
    if not FIELDS[rule.value].money or not rule.baseline or rule.baseline in FIELDS:
        return None
    return None if re.fullmatch(r"[0-9]{1,13}", rule.baseline) else "A whole number of minor units."
