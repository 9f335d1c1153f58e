"""Put something on a site's block or allow list, and take it off. The audit hears of the kind alone."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from apps.accounts.models import Site, User
from apps.audit.services import record
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.fraud.models import ListEntry, ListKind, ListName
from apps.fraud.rules.services.rulesets import moved, revision_locked

ENTRIES_MAX = 100_000


@transaction.atomic
def add_entry(
    *,
    site: Site,
    name: ListName,
    kind: ListKind,
    value: str,
    reason: str,
    expires_at: datetime | None,
    author: User,
) -> ListEntry:
    """LynceusError 409 for what is listed already, and where the site's lists are full."""
    revision_locked(site)
    at, revision = now(), moved(site)
    holding = ListEntry.objects.filter(site=site, ended_at=None)
    same = holding.filter(list=name, kind=kind, value=value).first()
    if same is not None and (same.expires_at is None or same.expires_at > at):
        raise LynceusError("already_listed", "This is on the list already.", status=409)
    if same is not None:
        _end(same, at=at, revision=revision, by=None)
    if holding.count() >= ENTRIES_MAX:
        raise LynceusError("list_full", f"A site's lists hold {ENTRIES_MAX:,} entries.", status=409)
    entry = ListEntry.objects.create(
        site=site, list=name, kind=kind, value=value, reason=reason, expires_at=expires_at, author=author,
        created_at=at, revision=revision,
    )  # fmt: skip
    _told("list.added", entry, author)
    return entry


@transaction.atomic
def end_entry(*, entry: ListEntry, by: User) -> None:
    """From the next decision on. Ending twice changes nothing."""
    revision_locked(entry.site)
    entry.refresh_from_db()
    if entry.ended_at is not None:
        return
    _end(entry, at=now(), revision=moved(entry.site), by=by)
    _told("list.ended", entry, by)


def _end(entry: ListEntry, *, at: datetime, revision: int, by: User | None) -> None:
    entry.ended_at, entry.ended_by, entry.revision = at, by, revision
    entry.save(update_fields=["ended_at", "ended_by", "revision"])


def _told(action: str, entry: ListEntry, by: User) -> None:
    record(
        action,
        site=entry.site,
        actor=by,
        subject=f"list_entry:{entry.pk}",
        detail={"list": entry.list, "kind": entry.kind},
    )
