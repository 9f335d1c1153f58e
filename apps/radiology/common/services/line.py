"""Films come in beside each other, rejection notes and merges alone: both uncommitted, they would miss
each other."""

from __future__ import annotations

from apps.accounts.models import Site
from apps.core.sql import ON_POSTGRES, run

_KEY = 0x52454A  # of this lock among PostgreSQL's advisory ones
_TOGETHER = "SELECT pg_advisory_xact_lock_shared(%s, %s)"
_ALONE = "SELECT pg_advisory_xact_lock(%s, %s)"


def stand_in_line(site: Site, *, alone: bool) -> None:
    """First thing in a transaction, before any row is locked. SQLite lets one writer in at a time anyway."""
    if ON_POSTGRES:
        run(_ALONE if alone else _TOGETHER, [_KEY, site.pk])
