from celery import shared_task

from apps.fraud.services.counts import count_due
from apps.fraud.services.deliver import deliver_due
from apps.fraud.services.drain import drain_shard
from apps.fraud.services.gather import gather_alerts as gather


@shared_task(name="fraud.decide_pending")
def decide_pending(shard: int) -> None:
    drain_shard(shard)


@shared_task(name="fraud.deliver_decisions")
def deliver_decisions() -> None:
    deliver_due()


@shared_task(name="fraud.gather_alerts")
def gather_alerts() -> None:
    gather()


@shared_task(name="fraud.count_hours")
def count_hours() -> None:
    count_due()
