"""Let a random sample of what the model would decline through, so that it becomes known what it was.

A decline that nobody confirms stays unknown for ever; a model that learns from what was let through alone
never learns where it was wrong. What is let through here is drawn, and the decision says how likely that
was, so that measures can weigh it. No rule, list or advice is touched, only the model's own word.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from django.db import connection

from apps.accounts.models import Site
from apps.core.clock import now
from apps.core.sql import insert, run
from apps.fraud.common.services.rates import business_day
from apps.fraud.decide.services.look import Looked
from apps.fraud.decide.services.verdicts import Judged, outcome_of
from apps.fraud.models import Mode, Outcome, PassThrough
from apps.fraud.rules.rules import PassingThrough, RuleHit, settle

CODE = "pass_through"
_draw = random.SystemRandom().random  # nobody shall foresee what is let through


def let_some_through(site: Site, judged: list[Judged], seen: Looked) -> list[Judged]:
    """Those drawn get a hit that approves, which takes the model's word away and nobody else's.

    No statement while it is off, nor where nothing was drawn. In the transaction that decides: what is drawn
    counts against the day's cap when the decisions commit, and not otherwise.
    """
    passing = seen.rules.passing
    if passing is None:
        return judged
    drawn = [
        index for index, item in enumerate(judged)
        if _may_pass(item, passing.daily_cap_minor) and _draw() < passing.probability
    ]  # fmt: skip
    passed = _within_cap(site, judged, drawn, passing) if drawn else []
    if not passed:
        return judged
    _write_down(judged, passed, seen, passing)
    hit = _hit(passing)
    return [
        replace(item, hits=[*item.hits, hit]) if index in passed else item
        for index, item in enumerate(judged)
    ]


def _may_pass(item: Judged, cap_minor: int) -> bool:
    """Whether it is the model, knowing all it wants to know, that declines, and nothing else."""
    return (
        item.mode == Mode.FULL
        and outcome_of(item) == Outcome.DECLINE
        and settle(item.hits, None) != Outcome.DECLINE
        and item.row.amount_reporting_minor <= cap_minor
    )


def _within_cap(
    site: Site, judged: Sequence[Judged], drawn: Sequence[int], passing: PassingThrough
) -> list[int]:
    """Those before the day's draws exceed the cap. The first beyond it ends the day's sample: were smaller
    ones let through after it, what is large would be drawn less often than it says.

    The day's row is locked until the decisions commit, after the states, which everybody locks first.
    """
    amounts = [judged[index].row.amount_reporting_minor for index in drawn]
    [(total,)] = run(
        "INSERT INTO fraud_passthroughday (site_id, day, drawn_minor) VALUES (%s, %s, %s)"
        " ON CONFLICT (site_id, day) DO UPDATE SET"
        " drawn_minor = fraud_passthroughday.drawn_minor + excluded.drawn_minor RETURNING drawn_minor",
        [site.pk, connection.ops.adapt_datefield_value(business_day(now())), sum(amounts)],
    ).fetchall()
    so_far, passed = total - sum(amounts), []
    for index, amount in zip(drawn, amounts, strict=True):
        so_far += amount
        if so_far <= passing.daily_cap_minor:
            passed.append(index)
    return passed


def _write_down(
    judged: Sequence[Judged], passed: Sequence[int], seen: Looked, passing: PassingThrough
) -> None:
    """Before the decisions themselves: the database looks at what refers to what at the end."""
    insert(
        [
            PassThrough(
                decision_id=seen.decision_ids[index],
                policy_id=passing.policy_id,
                probability=passing.probability,
                amount_minor=judged[index].row.amount_reporting_minor,
            )
            for index in passed
        ]
    )


def _hit(passing: PassingThrough) -> RuleHit:
    text = "Let through to learn from: drawn from what the model would decline."
    return RuleHit(CODE, Outcome.APPROVE, text, passing.probability, f"policy {passing.number}")
