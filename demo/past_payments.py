"""A season of synthetic payments, decided by the demo's own engine with the clock of those days, looked at by
two analysts and, what they did not see, reported by cardholders later."""

from __future__ import annotations

import logging
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db import transaction

from apps.accounts.models import Site, User
from apps.core.clock import held_at, now
from apps.fraud.decide.services.drain import drain_shard
from apps.fraud.decide.services.ingest import ingest_transactions
from apps.fraud.lifecycle.services.make_labels import make_labels
from apps.fraud.models import Alert, AlertStatus, FraudType, Ground, Source, Verdict, WorkItem
from apps.fraud.serving.services.labels import store_labels
from apps.fraud.settle.services.dispositions import UNDO, Said, dispose
from apps.fraud.wire.schemas import LabelIn
from apps.fraud.wire.validation import check_events
from apps.fraud.work.services.gather import gather_alerts
from apps.fraud.work.services.work import take_item
from demo.seed import SOURCE

if TYPE_CHECKING:
    import pandas as pd

DAY, BATCH, SEED = timedelta(days=1), 128, 77
# Silence means something after sixty days: of what is older a month can teach.
WORLD = {
    "demo": {"n_customers": 90, "n_terminals": 60, "n_days": 110, "until": 1},
    "tiny": {"n_customers": 60, "n_terminals": 40, "n_days": 36, "until": 62},
}
REPORTED, WITHIN_DAYS, CANNOT_TELL = 0.85, 30, 0.05
OF_EVENT = (
    "event_id", "type", "card_token", "currency", "merchant_id", "terminal_id", "mcc", "country",
    "entry_mode", "channel",
)  # fmt: skip


@dataclass(slots=True)
class Past:
    """`due`: what cardholders will report, by the day on which they do."""

    source: Source
    analysts: list[User]
    frauds: frozenset[str]
    chance: random.Random
    due: dict[datetime, list[LabelIn]] = field(default_factory=lambda: defaultdict(list))


def decide_the_past(site: Site, size: str) -> None:
    """Payments in, decided, looked at, reported: all or nothing."""
    from ml.fraud.simulator import simulate

    source = Source.objects.get(slug=SOURCE)
    world = dict(WORLD[size])
    today = now().replace(hour=0, minute=0, second=0, microsecond=0)
    start = today - DAY * (world["n_days"] + world.pop("until"))
    frame = simulate(start=start, seed=SEED, **world)
    frauds = frozenset(frame.loc[frame["fraud"] == 1, "event_id"])
    analysts = list(User.objects.filter(site=site, role="fraud_analyst").order_by("email"))
    past = Past(source, analysts, frauds, random.Random(SEED))  # noqa: S311 - a show, not a secret
    logging.disable(logging.WARNING)  # nobody hears the bells yet, and nobody wants to read that here
    try:
        with transaction.atomic():
            for day, rows in frame.groupby((frame["occurred_at"] - start) // DAY):
                _live(past, start + DAY * (int(day) + 1), rows)
            _report_the_rest(past, today)
    finally:
        logging.disable(logging.NOTSET)


def _report_the_rest(past: Past, today: datetime) -> None:
    for day in sorted(day for day in past.due if day <= today):
        with held_at(day):
            store_labels(source=past.source, labels=past.due[day], actor=None)


def _live(past: Past, evening: datetime, rows: pd.DataFrame) -> None:
    """One day: payments are decided as they come, alerts are settled in the evening."""
    for first in range(0, len(rows), BATCH):
        batch = rows.iloc[first : first + BATCH]
        with held_at(batch["occurred_at"].iloc[-1].to_pydatetime() + timedelta(seconds=1)):
            ingest_transactions(source=past.source, events=check_events([*_events(batch)]))
            drain_shard(0)
    with held_at(evening):
        gather_alerts()
        seen = {event_id for item in _waiting(past) for event_id in _settle(past, item)}
        for event_id in sorted(past.frauds.intersection(rows["event_id"]) - seen):
            if past.chance.random() < REPORTED:
                day = evening + DAY * past.chance.randint(1, WITHIN_DAYS)
                past.due[day].append(LabelIn(event_id=event_id, fraud=True, source="cardholder"))
        if reported := past.due.pop(evening, None):
            store_labels(source=past.source, labels=reported, actor=None)
    with held_at(evening + UNDO):
        make_labels()


def _events(rows: pd.DataFrame) -> Iterator[Mapping[str, Any]]:
    for row in rows.to_dict("records"):
        yield {
            **{name: str(row[name]) for name in OF_EVENT},
            "occurred_at": row["occurred_at"].isoformat(timespec="milliseconds"),
            "amount_minor": int(row["amount_minor"]),
            "latitude": round(float(row["latitude"]), 4), "longitude": round(float(row["longitude"]), 4),
        }  # fmt: skip


def _waiting(past: Past) -> list[WorkItem]:
    return list(WorkItem.objects.filter(site=past.source.site, closed_at=None).order_by("pk"))


def _settle(past: Past, item: WorkItem) -> list[str]:
    """All alerts of a card, by what they are; the payments that were told apart."""
    by, told = past.chance.choice(past.analysts), []
    alerts = Alert.objects.filter(item=item, status=AlertStatus.OPEN)
    groups: dict[bool, list[int]] = defaultdict(list)
    for pk, event_id in alerts.values_list("pk", "decision__transaction__event_id"):
        groups[event_id in past.frauds].append(pk)
        told.append(event_id)
    if past.chance.random() < CANNOT_TELL:
        everything = [pk for of in groups.values() for pk in of]
        dispose(take_item(item, by), everything, _unsure(), by)
        return []
    for fraud, of in groups.items():
        dispose(take_item(item, by), of, _verdict(fraud=fraud), by)
    return told


def _verdict(*, fraud: bool) -> Said:
    if fraud:
        return Said(Verdict.FRAUD, Ground.HOLDER_DENIES, FraudType.STOLEN)
    return Said(Verdict.LEGITIMATE, Ground.HOLDER_CONFIRMS)


def _unsure() -> Said:
    return Said(Verdict.CANNOT_TELL, Ground.NOT_REACHED)
