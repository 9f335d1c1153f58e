"""Filters of a list under a name of one's own: what every list that has them shares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import models, transaction

from apps.core.errors import LynceusError

VIEWS_MAX = 9  # one a digit key


class SavedView(models.Model):
    """A person's own name for a list's filters, as in its address."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=40)
    filters = models.JSONField(default=dict)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.name


class SavedViewForm(forms.Form):
    name = forms.CharField(max_length=40)


@transaction.atomic
def save_view(kind: type[SavedView], user: Any, data: Any, filters: Mapping[str, str]) -> None:
    """By the name in a form's `data`, in place of one of the same name. LynceusError 422 no_view, 409
    too_many_views."""
    form = SavedViewForm(data)
    if not form.is_valid() or not filters:
        raise LynceusError(
            "no_view", "Give a name of up to 40 characters and at least one filter.", status=422
        )
    name = form.cleaned_data["name"]
    get_user_model()._default_manager.select_for_update().get(
        pk=user.pk
    )  # two saved at once are still counted
    mine = kind._default_manager.filter(user=user)
    if not mine.filter(name=name).exists() and mine.count() >= VIEWS_MAX:
        message = f"You have {VIEWS_MAX} saved views: delete one first."
        raise LynceusError("too_many_views", message, status=409)
    mine.update_or_create(user=user, name=name, defaults={"filters": dict(filters)})


def delete_view(kind: type[SavedView], user: Any, pk: int) -> bool:
    """False where this person has none by that number."""
    deleted, _ = kind._default_manager.filter(user=user, pk=pk).delete()
    return bool(deleted)


def views_of(kind: type[SavedView], user: Any, now_shown: Mapping[str, str]) -> list[dict[str, Any]]:
    """This person's views, each under a digit; `shown` is the one that the page is narrowed to."""
    return [
        {"view": view, "key": number, "query": urlencode(view.filters), "shown": view.filters == now_shown}
        for number, view in enumerate(kind._default_manager.filter(user=user).order_by("pk"), 1)
    ]
