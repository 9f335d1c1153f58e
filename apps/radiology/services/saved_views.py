"""The worklist's filters under a name of one's own."""

from __future__ import annotations

from collections.abc import Mapping

from django.db import transaction

from apps.accounts.models import User
from apps.core.errors import LynceusError
from apps.radiology.models import SavedView

VIEWS_MAX = 9  # one a digit key


@transaction.atomic
def save_view(user: User, name: str, filters: Mapping[str, str]) -> SavedView:
    """In place of one of the same name. LynceusError 409 too_many_views."""
    User.objects.select_for_update().get(pk=user.pk)  # two saved at once are still counted
    mine = SavedView.objects.filter(user=user)
    if not mine.filter(name=name).exists() and mine.count() >= VIEWS_MAX:
        message = f"You have {VIEWS_MAX} saved views: delete one first."
        raise LynceusError("too_many_views", message, status=409)
    view, _ = SavedView.objects.update_or_create(user=user, name=name, defaults={"filters": dict(filters)})
    return view


def delete_view(user: User, pk: int) -> bool:
    """False where this person has none by that number."""
    deleted, _ = SavedView.objects.filter(user=user, pk=pk).delete()
    return bool(deleted)
