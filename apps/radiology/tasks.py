from celery import shared_task

from apps.radiology.services.analyse import analyse_instance as analyse


@shared_task(name="radiology.analyse_instance")
def analyse_instance(pk: int) -> None:
    analyse(pk)
