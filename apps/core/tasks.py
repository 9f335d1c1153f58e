from celery import shared_task

from apps.core.sweep import sweep_all


@shared_task(name="core.sweep")
def sweep() -> None:
    sweep_all()
