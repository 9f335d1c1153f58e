from celery import shared_task

from apps.fraud.services.drain import drain_shard


@shared_task(name="fraud.decide_pending")
def decide_pending(shard: int) -> None:
    drain_shard(shard)
