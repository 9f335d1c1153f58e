"""One of each thing of a site that the fraud doors name."""

from __future__ import annotations

from uuid import uuid4

from apps.accounts.models import Site, User
from apps.core.clock import now
from apps.fraud.backtests.backtest import Tally
from apps.fraud.decide.services.drain import drain_shard
from apps.fraud.decide.services.ingest import ingest_transactions
from apps.fraud.models import (
    Alert,
    Backtest,
    Decision,
    Disposition,
    Ground,
    OperatingProposal,
    PassThroughPolicy,
    RuleSet,
    Source,
    Verdict,
)
from apps.fraud.wire.validation import check_events
from apps.fraud.work.services.gather import gather_alerts
from apps.modelops.models import (
    ModelVersion,
)
from tests.fraud.conftest import event


def ruleset(site: Site, author: User) -> RuleSet:
    """Numbers are a site's own, so each site has one that the others do not have."""
    number = 1000 + site.pk
    return RuleSet.objects.create(
        site=site, number=number, rules=[], author=author, note="x", created_at=now()
    )


def policy(site: Site, proposer: User) -> PassThroughPolicy:
    return PassThroughPolicy.objects.create(
        site=site, number=1000 + site.pk, probability=0.01, daily_cap_minor=100, note="x",
        proposed_by=proposer, proposed_at=now(),
    )  # fmt: skip


def backtest(site: Site, by: User) -> Backtest:
    return Backtest.objects.create(
        site=site, rules=[], days=7, by=by, asked_at=now(), first_id=0, at_id=0, last_id=9,
        tally=Tally.empty(0).as_json(), moved_at=now(),
    )  # fmt: skip


def proposal(version: ModelVersion, by: User) -> OperatingProposal:
    return OperatingProposal.objects.create(
        site=by.site, version=version, method="trained", review=0.5, decline=0.9, asked={}, came_to={},
        note="x", loosens=True, by=by, at=now(),
    )  # fmt: skip


def decision(source: Source) -> Decision:
    """Large enough for an alert, which lies in a work item."""
    given = event(f"event-{source.slug}", card_token=f"card-{source.slug}", amount_minor=600_000)
    events = check_events([given])
    ingest_transactions(source=source, events=events)
    decided = Decision.objects.filter(transaction__source=source)
    for shard in source.transactions.values_list("shard", flat=True):
        drain_shard(shard)
    gather_alerts()
    return decided.get()


def disposed(alert: Alert, by: User) -> Disposition:
    made = Disposition.objects.create(
        site=alert.site, batch=uuid4(), item=alert.item, verdict=Verdict.CANNOT_TELL,
        reason=Ground.TOO_LITTLE, by=by, at=now(),
    )  # fmt: skip
    made.alerts.add(alert)
    return made
