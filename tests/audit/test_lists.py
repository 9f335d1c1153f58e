"""Who opened a list is recorded, once a page opened; the polls that follow are not."""

from __future__ import annotations

import pytest
from django.test import Client

from apps.audit.models import AuditEvent

LISTS = [
    ("radiologist", "/radiology/", "worklist.viewed"),
    ("fraud_analyst", "/fraud/", "queue.viewed"),
]


def said(action: str) -> list[tuple[str, str]]:
    return list(AuditEvent.objects.filter(action=action).order_by("pk").values_list("actor", "subject"))


@pytest.mark.parametrize(("role", "path", "action"), LISTS)
def test_a_list_that_was_opened(client: Client, make_user, role: str, path: str, action: str) -> None:
    user = make_user(role)
    client.force_login(user)
    client.get(path, {"q": "Doe^Jane"})
    client.get(path + "rows/", headers={"hx-request": "true", "x-lynceus-poll": "1"})
    client.get(path + "rows/", {"seen": "something else"}, headers={"hx-request": "true"})
    assert said(action) == [(f"user:{user.pk}", "")]
    assert "Doe" not in str(list(AuditEvent.objects.values()))


@pytest.mark.parametrize(("role", "path", "action"), LISTS)
def test_who_is_kept_out_saw_nothing(client: Client, make_user, role: str, path: str, action: str) -> None:
    client.force_login(make_user("operator"))
    client.get(path)
    assert said(action) == []
