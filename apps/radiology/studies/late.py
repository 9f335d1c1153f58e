"""Reads: films that came after somebody had opened or signed the study."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db.models import Max

from apps.accounts.models import User
from apps.core.clock import now
from apps.radiology.models import NOT_REJECTED, SIGNED, Study
from apps.radiology.studies.reads import read_of


@dataclass(frozen=True, slots=True)
class LateFilms:
    """How many came since this reader opened the study, and since it was signed while nobody has said that
    they saw them. `opened` is when the page was opened, for its next question; `films` is `films_mark`."""

    opened: str
    after_opening: int
    after_signing: int
    films: str


def late_films_of(study: Study, user: User, opened: str = "") -> LateFilms:
    """`opened` as the page was told; empty as it opens. A draft was opened when it was begun."""
    since = page = _time(opened)
    read = read_of(study, user)
    if read is not None and read.is_open:
        since = min(since, read.opened_at)
    signed = study.reads.filter(state__in=SIGNED).aggregate(at=Max("signed_at"))["at"]
    # Looked up once: what is counted and what the mark stands for are the same films.
    films = list(study.instances.filter(NOT_REJECTED).values_list("pk", "received_at"))
    return LateFilms(
        opened=page.isoformat(),
        after_opening=sum(at > since for _, at in films),
        after_signing=sum(at > signed for _, at in films) if study.late_films and signed else 0,
        films=mark_of(pk for pk, _ in films),
    )


def films_mark(study: Study) -> str:
    """Of the films in use: another after one came or went. Asked under the study's lock it stands until the
    transaction ends."""
    return mark_of(study.instances.filter(NOT_REJECTED).values_list("pk", flat=True))


def mark_of(keys: Iterable[int]) -> str:
    """`films_mark` of a page that shows the instances of these keys."""
    return hashlib.sha256(",".join(map(str, sorted(keys))).encode()).hexdigest()[:16]


def _time(text: str) -> datetime:
    """What is no time, or has not come yet, is now."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return now()
    return min(at if at.tzinfo else at.replace(tzinfo=UTC), now())
