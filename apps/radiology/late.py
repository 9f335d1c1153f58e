"""Reads: films that came after somebody had opened or signed the study."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from django.db.models import Max

from apps.accounts.models import User
from apps.core.clock import now
from apps.radiology.models import NOT_REJECTED, SIGNED, Study
from apps.radiology.reads import read_of


@dataclass(frozen=True, slots=True)
class LateFilms:
    """How many came since this reader opened the study, and since it was signed while nobody has said that
    they saw them. `opened` is when the page was opened, for its next question."""

    opened: str
    after_opening: int
    after_signing: int


def late_films_of(study: Study, user: User, opened: str = "") -> LateFilms:
    """`opened` as the page was told; empty as it opens. A draft was opened when it was begun."""
    since = page = _time(opened)
    read = read_of(study, user)
    if read is not None and read.is_open:
        since = min(since, read.opened_at)
    signed = study.reads.filter(state__in=SIGNED).aggregate(at=Max("signed_at"))["at"]
    return LateFilms(
        opened=page.isoformat(),
        after_opening=_films_since(study, since),
        after_signing=_films_since(study, signed) if study.late_films and signed else 0,
    )


def _films_since(study: Study, at: datetime) -> int:
    return int(study.instances.filter(NOT_REJECTED, received_at__gt=at).count())


def _time(text: str) -> datetime:
    """What is no time, or has not come yet, is now."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return now()
    return min(at if at.tzinfo else at.replace(tzinfo=UTC), now())
