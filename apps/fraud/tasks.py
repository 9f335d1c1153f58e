from celery import shared_task

from apps.fraud.services.backtests import run_backtest as run_some_of_backtest
from apps.fraud.services.deliver import deliver_due
from apps.fraud.services.drain import drain_shard


@shared_task(name="fraud.decide_pending")
def decide_pending(shard: int) -> None:
    drain_shard(shard)


@shared_task(name="fraud.deliver_decisions")
def deliver_decisions() -> None:
    deliver_due()


@shared_task(name="fraud.run_backtest")
def run_backtest(pk: int) -> None:
    run_some_of_backtest(pk)
