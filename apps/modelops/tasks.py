from celery import shared_task

from apps.modelops.services.runner import run_next


# Acknowledged at once and without a time limit: the lease in the database is what guards a long job.
@shared_task(name="modelops.run_next_job", acks_late=False, time_limit=0, soft_time_limit=0)
def run_next_job() -> None:
    run_next()
