"""Which reports and results are to go to the PACS: written with the signature, sent by a worker."""

from __future__ import annotations

from django.db import transaction

from apps.accounts.models import User
from apps.audit.services import record
from apps.core.bell import ring
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.radiology.documents.dispatches import due_dispatches
from apps.radiology.documents.results import results_of
from apps.radiology.models import SIGNED, Destination, Dispatch, ReportDocument, SecondRead, Study

TASK = "radiology.send_reports"


def dispatch_document(document: ReportDocument) -> None:
    """In the transaction that signs it. A second read checks the first and stays in the house: an archive
    with two reports of one study would have to guess which counts."""
    if SecondRead.objects.filter(read=document.read_id).exists():
        return
    for destination in Destination.objects.filter(site=document.site, is_active=True):
        Dispatch.objects.create(destination=destination, document=document, created_at=now(), due_at=now())


def dispatch_results(study: Study) -> None:
    """What was made of the model's findings goes to who wants it, once a radiologist has signed."""
    if not study.reads.filter(state__in=SIGNED).exists():
        return
    for destination in Destination.objects.filter(site=study.site, is_active=True, sends_results=True):
        for result in results_of(study):
            Dispatch.objects.get_or_create(
                destination=destination,
                result=result,
                defaults={"created_at": now(), "due_at": now()},
            )
    ring(TASK)


def ring_sending() -> int:
    """For the sweeper too: ring once if anything is due."""
    if not due_dispatches().exists():
        return 0
    ring(TASK)
    return 1


@transaction.atomic
def retry_dispatch(dispatch: Dispatch, *, by: User) -> None:
    """LynceusError 409 not_given_up: it was delivered, or is still tried."""
    again = {"dead_at": None, "attempts": 0, "due_at": now()}
    if not Dispatch.objects.filter(pk=dispatch.pk, dead_at__isnull=False).update(**again):
        raise LynceusError("not_given_up", "This is delivered, or is still being tried.", status=409)
    detail = {"dispatch": dispatch.pk}
    record("dispatch.retried", site=by.site, actor=by, detail=detail)
    ring(TASK)
