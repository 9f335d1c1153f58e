"""Films that come after sign-off: nobody has read them, so the study is to be read again until somebody
says that they did. What somebody says counts for the films that their page showed, and for no later one."""

from __future__ import annotations

from django.db import transaction

from apps.accounts.models import User
from apps.audit.services import record
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.radiology.models import SIGNED, Study
from apps.radiology.studies.late import films_mark
from apps.radiology.studies.services.studies import touch


def note_late_film(study: Study) -> None:
    """A film in use came into a study, locked by the caller."""
    if study.read_state in SIGNED and not study.late_films:
        study.late_films, study.changed_at = True, now()
        study.save(update_fields=["late_films", "changed_at"])
        record("study.films_after_signing", site=study.site, actor=None, subject=f"study:{study.pk}")


def check_films(study: Study, shown: str) -> None:
    """`shown` is `late.films_mark` of what the page showed, where it says so; the study is locked by the
    caller. LynceusError 409 films_changed."""
    if shown and shown != films_mark(study):
        raise LynceusError(
            "films_changed", "A film of this study came or went while you read: look again.", status=409
        )


@transaction.atomic
def see_late_films(study: Study, *, by: User, shown: str) -> None:
    """A radiologist has seen them and adds nothing. LynceusError 409 films_changed."""
    touch(study.pk)
    check_films(study, shown)
    settle_late_films(study, by=by)


@transaction.atomic
def settle_late_films(study: Study, *, by: User) -> None:
    """They were seen, or signed with them there. Once is enough."""
    late = Study.objects.filter(pk=study.pk, late_films=True)
    if late.update(late_films=False, changed_at=now()):
        record("study.late_films_seen", site=study.site, actor=by, subject=f"study:{study.pk}")
