"""Which studies want priors, which fetch is due, and what becomes of what comes as one. No network here."""

from __future__ import annotations

from datetime import timedelta

import structlog
from django.db import transaction
from django.db.models import Q, QuerySet

from apps.accounts.models import Site
from apps.audit.services import Actor, record
from apps.core.bell import ring
from apps.core.clock import now
from apps.radiology.common.services.senders import Sender
from apps.radiology.models import (
    DicomPeer,
    FetchState,
    Instance,
    PatientMerge,
    PriorFetch,
    PriorRequest,
    Status,
    Study,
)
from apps.radiology.studies.services.identity import MERGES_MAX
from apps.radiology.studies.services.studies import TASK as ANALYSE
from apps.radiology.studies.services.studies import sum_up

log = structlog.get_logger(__name__)
TASK = "radiology.fetch_priors"
WANTED_FOR = timedelta(days=1)  # what arrived before that waits no more for its first search
LEASE = timedelta(minutes=5)
SENT_WITHIN = timedelta(hours=1)
PEER_RESTS = timedelta(minutes=1)  # after it failed: studies that wait do not wait for it one by one
RETRY_AFTER = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2))
AT_ONCE = 200
NOT_ANALYSED = ("prior", "Not analysed: fetched as a prior, to compare with.")


def ring_prior_fetches() -> int:
    """For the sweeper: one bell for however many are due."""
    for peer in DicomPeer.objects.filter(is_active=True, fetches_priors=True):
        _enter_new(peer)
    due = _due().exists()
    if due:
        ring(TASK)
    return int(due)


def _enter_new(peer: DicomPeer) -> None:
    since = now() - WANTED_FOR
    mine = Study.objects.filter(
        site=peer.site_id, changed_at__gt=since, received_at__gt=since, is_prior=False, withdrawn=False
    )
    fresh = mine.exclude(PatientID="").exclude(prior_fetches__peer=peer).values_list("pk", flat=True)
    rows = [PriorFetch(study_id=pk, peer=peer, due_at=now()) for pk in fresh[:AT_ONCE]]
    PriorFetch.objects.bulk_create(rows, ignore_conflicts=True)


def _due() -> QuerySet[PriorFetch]:
    rested = Q(peer__failed_at=None) | Q(peer__failed_at__lt=now() - PEER_RESTS)
    return PriorFetch.objects.filter(
        rested, state=FetchState.WAITING, due_at__lte=now(), peer__is_active=True
    ).order_by("due_at")


@transaction.atomic
def claim_fetch() -> PriorFetch | None:
    """The one that waits longest; nobody else takes it while its lease lasts."""
    free = _due().select_for_update(of=("self",), skip_locked=True)
    fetch = free.select_related("study__site", "peer").first()
    if fetch is not None:
        fetch.attempts += 1
        fetch.due_at = now() + LEASE
        fetch.save(update_fields=["attempts", "due_at"])
    return fetch


@transaction.atomic
def settle_fetch(fetch: PriorFetch) -> None:
    """It is done, with the numbers it holds."""
    fetch.state, fetch.fault = FetchState.DONE, ""
    fetch.save(update_fields=["state", "fault", "found", "fetched", "left_out"])
    DicomPeer.objects.filter(pk=fetch.peer_id).update(failed_at=None, fault="")
    detail = {"peer": fetch.peer.AETitle, "found": fetch.found, "fetched": fetch.fetched}
    subject = f"study:{fetch.study_id}"
    record("priors.fetched", site=fetch.study.site, actor=None, subject=subject, detail=detail)
    _show(fetch)


@transaction.atomic
def put_off(fetch: PriorFetch, fault: str) -> None:
    """The peer failed: again later, and at last not at all."""
    given_up = fetch.attempts > len(RETRY_AFTER)
    fetch.state = FetchState.GAVE_UP if given_up else FetchState.WAITING
    fetch.due_at = now() + RETRY_AFTER[min(fetch.attempts, len(RETRY_AFTER)) - 1]
    fetch.fault = fault[:120]
    fetch.save(update_fields=["state", "due_at", "fault"])
    peer = DicomPeer.objects.select_for_update().get(pk=fetch.peer_id)
    peer.failed_at, peer.fault = now(), fetch.fault
    peer.save(update_fields=["failed_at", "fault"])
    log.warning("priors_put_off", study=fetch.study_id, attempts=fetch.attempts, given_up=given_up)
    _show(fetch)


def _show(fetch: PriorFetch) -> None:
    """Open pages of the study show it anew."""
    Study.objects.filter(pk=fetch.study_id).update(changed_at=now())


def request_prior(fetch: PriorFetch, study_uid: str) -> None:
    """Before it is asked for: what comes of it from now on is a prior."""
    until = now() + SENT_WITHIN
    PriorRequest.objects.update_or_create(fetch=fetch, StudyInstanceUID=study_uid, defaults={"until": until})


def numbers_of(study: Study) -> list[str]:
    """The study's PatientID, and those that were merged into it: the PACS may still know the patient so."""
    merges = PatientMerge.objects.filter(site=study.site, undone_at=None)
    patients = [(study.PatientID, study.IssuerOfPatientID)]
    for patient, issuer in patients:  # grows: one may have been merged into one of those
        into = merges.filter(into_patient=patient, into_issuer=issuer)
        patients += into.values_list("from_patient", "from_issuer")[: max(0, MERGES_MAX - len(patients))]
    return list(dict.fromkeys(patient for patient, _ in patients))


def as_asked(study: Study, made: bool, sender: Sender) -> None:
    """A study, locked by the caller, of which an instance came: a new one is a prior if that is what it was
    asked for as; one that was a prior and comes unasked is work."""
    if not (made or study.is_prior):
        return
    asked = _asked_for(study.StudyInstanceUID, sender)
    if made and asked:
        study.is_prior = True
        study.save(update_fields=["is_prior"])
    elif study.is_prior and not asked:
        become_work(study, actor=sender.actor)


@transaction.atomic
def came_again(study_pk: int, sender: Sender) -> None:
    """An instance of a prior that was here already came again: unasked, the study is work from now on."""
    as_asked(
        Study.objects.select_for_update(of=("self",)).select_related("site").get(pk=study_pk), False, sender
    )


def _asked_for(study_uid: str, sender: Sender) -> bool:
    if not sender.may_be_asked_for:
        return False
    requests = PriorRequest.objects.filter(StudyInstanceUID=study_uid, until__gt=now())
    peer = {"fetch__peer__site": sender.site, "fetch__peer__AETitle": sender.name}
    return bool(requests.filter(**peer).exists())


@transaction.atomic
def become_work(study: Study, *, actor: Actor) -> None:
    """A modality or the PACS sends it of itself: it enters the worklist now, and its films are analysed."""
    study.is_prior, study.received_at = False, now()
    study.save(update_fields=["is_prior", "received_at"])
    waiting = Instance.objects.filter(
        study=study, status=Status.NOT_ANALYSED, reason_code=NOT_ANALYSED[0], rejected_by=None
    )
    for pk in list(waiting.values_list("pk", flat=True)):
        Instance.objects.filter(pk=pk).update(
            status=Status.RECEIVED, reason_code="", reason="", attempts=0, received_at=now()
        )
        ring(ANALYSE, pk)
    sum_up(study.pk)
    record("prior.became_work", site=study.site, actor=actor, subject=f"study:{study.pk}")


def peers_answer() -> str:
    """For /status. RuntimeError names the peers that failed when they were last asked."""
    peers = DicomPeer.objects.filter(is_active=True)
    failed = [f"{peer.AETitle}: {peer.fault}" for peer in peers.exclude(failed_at=None)]
    if failed:
        raise RuntimeError(" ".join(failed))
    return f"{peers.count()} known, none failed when last asked"


def is_here(site: Site, study_uid: str) -> bool:
    return Study.objects.filter(site=site, StudyInstanceUID=study_uid).exists()
