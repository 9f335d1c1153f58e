"""Call a finding critical, say who was told of it, and escalate what nobody was told of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from apps.accounts.models import Site, User
from apps.audit.services import Actor, record
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.radiology.documents.reports import policy_of
from apps.radiology.models import Communication, Read, ReadState
from apps.radiology.studies.services.studies import touch
from apps.radiology.worklist.communications import untold_of

AT_ONCE = 200
AT_MOST = 20  # of one read


@dataclass(frozen=True, slots=True)
class Told:
    """Who was told, how (`Channel`), when, and whether they said it back."""

    to: str
    channel: str
    at: datetime
    read_back: bool


@transaction.atomic
def mark_critical(read: Read, finding: str) -> Communication:
    """The radiologist's own word, at any time of their read. LynceusError 409 read_retracted, too_many; 422
    no_finding."""
    held = Read.objects.select_for_update(of=("self",)).select_related("study__site", "reader")
    read = held.get(pk=read.pk)  # before its study, as who signs it locks them
    touch(read.study_id)
    if read.state == ReadState.RETRACTED:
        raise LynceusError("read_retracted", "This read was retracted.", status=409)
    if not finding.strip():
        raise LynceusError("no_finding", "Say what is critical.", status=422)
    if read.communications.count() >= AT_MOST:
        raise LynceusError("too_many", f"A read has at most {AT_MOST} critical findings.", status=409)
    made = Communication.objects.create(
        site=read.study.site, read=read, finding=finding.strip()[:200], identified_at=now()
    )
    _tell("critical.marked", made, read.reader)
    return made


@transaction.atomic
def tell_communication(communication: Communication, told: Told, *, by: User) -> None:
    """LynceusError 409 not_open; 422 in_the_future, too_early."""
    held = _opened(communication)
    if told.at > now():
        raise LynceusError("in_the_future", "Say when it was, not when it will be.", status=422)
    if told.at < held.read.opened_at:
        raise LynceusError("too_early", "That is before the study was read.", status=422)
    held.told_to, held.channel, held.told_at = told.to, told.channel, told.at
    held.told_by, held.read_back = by, told.read_back
    held.save(update_fields=["told_to", "channel", "told_at", "told_by", "read_back"])
    _tell("critical.told", held, by, read_back=told.read_back)


@transaction.atomic
def withdraw_communication(communication: Communication, why: str, *, by: User) -> None:
    """By who marked it: it was a mistake. LynceusError 403 not_yours, 409 not_open, 422 no_reason."""
    if not why.strip():
        raise LynceusError("no_reason", "Say why it is not critical.", status=422)
    held = _opened(communication)
    if held.read.reader_id != by.pk:
        raise LynceusError("not_yours", "Only who called it critical takes that back.", status=403)
    held.withdrawn_at, held.withdrawn_why = now(), why.strip()[:200]
    held.save(update_fields=["withdrawn_at", "withdrawn_why"])
    _tell("critical.withdrawn", held, by)


def check_communicated(read: Read, *, without: bool) -> int:
    """How many critical findings of it nobody was told of. LynceusError 409 not_communicated where there are
    any, unless it is to be signed `without`."""
    untold = untold_of(read).count()
    if untold and not without:
        raise LynceusError(
            "not_communicated",
            "Nobody was told of a critical finding of this read: say who was, or sign without it.",
            status=409,
        )
    return untold


def escalate_overdue() -> int:
    """For the sweeper: what nobody was told of in the site's time. Returns how many."""
    waiting = Communication.objects.filter(told_at=None, withdrawn_at=None, escalated_at=None)
    count = 0
    for site in Site.objects.filter(pk__in=waiting.values("site")):
        since = now() - timedelta(minutes=policy_of(site).escalate_after_min)
        overdue = waiting.filter(site=site, identified_at__lte=since).order_by("identified_at")
        count += sum(_escalate(one) for one in overdue.select_related("read")[:AT_ONCE])
    return count


@transaction.atomic
def _escalate(communication: Communication) -> bool:
    """False where somebody was faster."""
    touch(communication.read.study_id)
    still = Communication.objects.filter(pk=communication.pk, told_at=None, withdrawn_at=None)
    if not still.filter(escalated_at=None).update(escalated_at=now()):
        return False
    _tell("critical.escalated", communication, None)
    return True


def _opened(communication: Communication) -> Communication:
    """Locked, its study first, as everybody locks them."""
    touch(communication.read.study_id)
    found = Communication.objects.select_for_update(of=("self",)).select_related("read", "site")
    held = found.get(pk=communication.pk)
    if not held.is_open:
        raise LynceusError("not_open", "This is settled already.", status=409)
    return held


def _tell(action: str, communication: Communication, actor: Actor, **detail: bool) -> None:
    subject = f"study:{communication.read.study_id}"
    told = {"communication": communication.pk, **detail}
    record(action, site=communication.site, actor=actor, subject=subject, detail=told)
