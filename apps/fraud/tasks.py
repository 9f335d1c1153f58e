from celery import shared_task

from apps.fraud.backtests.services.backtests import run_backtest as run_some_of_backtest
from apps.fraud.decide.services.drain import drain_shard
from apps.fraud.lifecycle.services.follow import follow_decisions as follow
from apps.fraud.lifecycle.services.make_labels import make_labels as label_due
from apps.fraud.watch.services.counts import count_due
from apps.fraud.wire.services.deliver import deliver_due
from apps.fraud.work.services.budget import work_out_budgets as work_out
from apps.fraud.work.services.gather import gather_alerts as gather


@shared_task(name="fraud.decide_pending")
def decide_pending(shard: int) -> None:
    drain_shard(shard)


@shared_task(name="fraud.deliver_decisions")
def deliver_decisions() -> None:
    deliver_due()


@shared_task(name="fraud.gather_alerts")
def gather_alerts() -> None:
    gather()


@shared_task(name="fraud.work_out_budgets")
def work_out_budgets() -> None:
    work_out()


@shared_task(name="fraud.make_labels")
def make_labels() -> None:
    label_due()


@shared_task(name="fraud.run_backtest")
def run_backtest(pk: int) -> None:
    run_some_of_backtest(pk)


@shared_task(name="fraud.count_hours")
def count_hours() -> None:
    count_due()


@shared_task(name="fraud.follow_decisions")
def follow_decisions() -> None:
    follow()
