from celery import shared_task

from apps.audit.services.chain import seal_pending


@shared_task(name="audit.seal")
def seal() -> None:
    seal_pending()
