"""A study with findings, the read panel's buttons, and a colleague."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from apps.radiology.models import Study


@pytest.fixture
def study(received, judged) -> Study:
    judged(received(), Effusion=(0.83, 0.41), Nodule=(0.1, 0.3))
    return Study.objects.get()


@pytest.fixture
def press(radiologist):
    """A button of the read panel."""

    def post(study: Study, what: str = "", **form: Any) -> Any:
        return radiologist.post(f"/radiology/studies/{study.public_id}/read/{what and what + '/'}", form)

    return post


@pytest.fixture
def other(make_user) -> Client:
    colleague = Client()
    colleague.force_login(make_user("radiologist", email="colleague@north.example"))
    return colleague


def page_of(client: Client, study: Study) -> str:
    return client.get(f"/radiology/studies/{study.public_id}/").content.decode()
