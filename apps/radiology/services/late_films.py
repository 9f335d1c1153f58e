"""Films that come after sign-off: nobody has read them, so the study is to be read again until somebody
says that they did."""

from __future__ import annotations

from django.db import transaction

from apps.accounts.models import User
from apps.audit.services import record
from apps.core.clock import now
from apps.radiology.models import SIGNED, Study


def note_late_film(study: Study) -> None:
    """A film in use came into a study, locked by the caller."""
    if study.read_state in SIGNED and not study.late_films:
        study.late_films, study.changed_at = True, now()
        study.save(update_fields=["late_films", "changed_at"])
        record("study.films_after_signing", site=study.site, actor=None, subject=f"study:{study.pk}")


@transaction.atomic
def settle_late_films(study: Study, *, by: User) -> None:
    """A radiologist has seen them and adds nothing, or has just signed with them there. Once is enough."""
    late = Study.objects.filter(pk=study.pk, late_films=True)
    if late.update(late_films=False, changed_at=now()):
        record("study.late_films_seen", site=study.site, actor=by, subject=f"study:{study.pk}")
