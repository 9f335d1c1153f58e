from celery import shared_task

from apps.modelops.datasets.services.freezes import run_freeze
from apps.modelops.jobs.services.runner import run_next
from apps.modelops.promotion.services.gate_process import check_next
from apps.modelops.versions.services.comparisons import work_out
from apps.modelops.watch.services.alarm_news import deliver_due
from apps.modelops.watch.services.watch import watch_domain


# Acknowledged at once and without a time limit: the lease in the database is what guards a long job.
@shared_task(name="modelops.run_next_job", acks_late=False, time_limit=0, soft_time_limit=0)
def run_next_job() -> None:
    run_next()


@shared_task(name="modelops.check_at_gate", acks_late=False, time_limit=0, soft_time_limit=0)
def check_at_gate() -> None:
    check_next()


# Likewise: a large set takes longer than a task may, and its row is what guards it.
@shared_task(name="modelops.freeze_dataset", acks_late=False, time_limit=0, soft_time_limit=0)
def freeze_dataset(pk: int) -> None:
    run_freeze(pk)


# It holds no lock and writes one file whole: cut off, it is done again by who next opens the page.
@shared_task(name="modelops.compare_versions", acks_late=False)
def compare_versions(*version_ids: int) -> None:
    work_out(version_ids)


@shared_task(name="modelops.watch")
def watch(domain: str) -> None:
    watch_domain(domain)


@shared_task(name="modelops.deliver_alarms")
def deliver_alarms() -> None:
    deliver_due()
