"""Tell a site's receiver that an alarm opened or closed: signed, at least once, again until it answers."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import structlog
from django.db import transaction
from django.db.models import QuerySet

from apps.accounts.models import Site, User
from apps.audit.services import record
from apps.core.bell import ring
from apps.core.clock import now
from apps.core.encryption import decrypt, encrypt
from apps.core.errors import LynceusError
from apps.core.signatures import new_secret
from apps.core.webhooks import GONE, WAITS, send
from apps.modelops.models import AlarmNews, AlarmReceiver
from apps.modelops.watch.services.alarms import DELIVER

log = structlog.get_logger(__name__)
BATCH = 20  # of a round; each takes a few seconds at most
LEASE = timedelta(seconds=60)


@transaction.atomic
def set_receiver(*, site: Site, url: str, by: User) -> str:
    """From now on; the new secret, shown once. The one before is void."""
    secret = new_secret()
    new = {"url": url, "ciphertext": encrypt(secret, bound_to=_owner(site)), "by": by, "at": now()}
    AlarmReceiver.objects.update_or_create(site=site, defaults=new)
    record(
        "alarm.receiver_set",
        site=site,
        actor=by,
        subject=f"site:{site.pk}",
        detail={"host": urlsplit(url).netloc},
    )
    return secret


@transaction.atomic
def stop_telling(*, site: Site, by: User) -> None:
    """What was not delivered yet is given up."""
    gone, _ = AlarmReceiver.objects.filter(site=site).delete()
    if gone:
        _waiting().filter(alarm__site=site).update(dead_at=now(), error="no_receiver")
        record("alarm.receiver_removed", site=site, actor=by, subject=f"site:{site.pk}")


def deliver_due() -> int:
    """What is due, the longest first; returns how many were delivered."""
    delivered = 0
    for pk in list(_due().values_list("pk", flat=True)[:BATCH]):
        if (row := _claim(pk)) is not None:
            delivered += _attempt(row)
    return delivered


def ring_due() -> int:
    """For the sweeper: ring once if anything is due."""
    if not _due().exists():
        return 0
    ring(DELIVER)
    return 1


def last_news_of(site: Site) -> AlarmNews | None:
    return AlarmNews.objects.filter(alarm__site=site).order_by("-pk").first()


def _waiting() -> QuerySet[AlarmNews]:
    return AlarmNews.objects.filter(delivered_at=None, dead_at=None)


def _due() -> QuerySet[AlarmNews]:
    return _waiting().filter(due_at__lte=now()).order_by("due_at", "pk")


def _claim(pk: int) -> AlarmNews | None:
    """Compare-and-set on `due_at`: of two workers one gets it. The attempt is counted here, so that one whose
    sender dies each time is given up as well."""
    row = AlarmNews.objects.select_related("alarm__site", "alarm__version").get(pk=pk)
    row.attempts += 1
    claimed = _due().filter(pk=pk, due_at=row.due_at)
    return row if claimed.update(due_at=now() + LEASE, attempts=row.attempts) else None


def _attempt(row: AlarmNews) -> bool:
    row.status, row.error = _send(row)
    at = now()
    if row.status is not None and 200 <= row.status < 300:
        row.delivered_at = at
    elif row.status == GONE or row.attempts > len(WAITS):
        row.dead_at = at
        log.error("alarm_delivery_given_up", news=row.pk, status=row.status, error=row.error)
    else:
        row.due_at = at + WAITS[row.attempts - 1]
    row.save(update_fields=["status", "error", "delivered_at", "dead_at", "due_at"])
    return row.delivered_at is not None


def _send(row: AlarmNews) -> tuple[int | None, str]:
    site = row.alarm.site
    if row.attempts > len(WAITS) + 1:
        return None, "sender_died"  # the last attempt was never written down
    receiver = AlarmReceiver.objects.filter(site=site).first()
    if receiver is None:
        return None, "no_receiver"
    body = json.dumps(_message(row), separators=(",", ":")).encode()
    try:
        secret = decrypt(bytes(receiver.ciphertext), bound_to=_owner(site))
    except LynceusError as error:
        return None, error.code
    return send(receiver.url, f"alm_{row.pk}", body, [secret])


def _message(row: AlarmNews) -> dict[str, Any]:
    alarm, opened = row.alarm, row.topic == AlarmNews.Topic.OPENED
    at = alarm.opened_at if opened or alarm.closed_at is None else alarm.closed_at
    return {
        "type": row.topic,
        "timestamp": at.isoformat(),
        "data": {
            "alarm": alarm.pk, "site": alarm.site.slug, "domain": alarm.domain, "measure": alarm.measure,
            "version": alarm.version.number, "limit": alarm.limit, "sentence": alarm.sentence,
            "value": alarm.value if opened else alarm.closed_value,
        },
    }  # fmt: skip


def _owner(site: Site) -> str:
    return f"alarms of {site.slug}"
