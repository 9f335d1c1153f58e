from celery import shared_task

from apps.radiology.analysis.services.analyse import analyse_instance as analyse
from apps.radiology.copies.services.make_exports import make_due_exports
from apps.radiology.documents.services.documents import make_due_documents
from apps.radiology.documents.services.results import make_due_results
from apps.radiology.exchange.services.fetch import fetch_due_priors
from apps.radiology.exchange.services.send import send_due
from apps.radiology.lifecycle.services.follow import follow_analyses as follow


@shared_task(name="radiology.analyse_instance")
def analyse_instance(pk: int) -> None:
    analyse(pk)


@shared_task(name="radiology.follow_analyses")
def follow_analyses() -> None:
    follow()


@shared_task(name="radiology.make_results")
def make_results() -> None:
    make_due_results()


@shared_task(name="radiology.make_reports")
def make_reports() -> None:
    make_due_documents()


@shared_task(name="radiology.send_reports")
def send_reports() -> None:
    send_due()


@shared_task(name="radiology.fetch_priors")
def fetch_priors() -> None:
    fetch_due_priors()


@shared_task(name="radiology.make_exports")
def make_exports() -> None:
    make_due_exports()
