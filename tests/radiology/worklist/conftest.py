"""Orders by a program, and the worklist as its reader sees it."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from apps.radiology.models import Study

ROW = re.compile(r'data-id="([^"]+)"')


def ids(page: Any) -> list[str]:
    return ROW.findall(page.content.decode())


def address(page: Any, part: str = "rows") -> str:
    return html.unescape(re.search(rf'hx-get="([^"]*/{part}/[^"]*)"', page.content.decode())[1])


def row_of(page: Any, study: Study) -> str:
    """The text of one row, without markup."""
    row = page.content.decode().split(f'data-id="{study.public_id}"')[1].split("</tr>")[0]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", row)).split())


@pytest.fixture
def order(token: str) -> Callable[..., Any]:
    """PATCH of a study's order by a program of its site."""

    def patch(uid: str, *, bearer: str = token, client: Client | None = None, **given: Any) -> Any:
        headers = {"authorization": f"Bearer {bearer}"} if bearer else {}
        return (client or Client()).patch(
            f"/api/v1/studies/{uid}/order", given, content_type="application/json", headers=headers
        )

    return patch


@pytest.fixture
def ordered(received: Callable[..., Any], order: Callable[..., Any]) -> Callable[..., Study]:
    """A study with one film, of this order."""

    def make(priority: str = "routine", **attributes: Any) -> Study:
        study: Study = received(**attributes).study
        if priority != "routine":
            assert order(study.StudyInstanceUID, priority=priority).status_code == 200
        study.refresh_from_db()
        return study

    return make
