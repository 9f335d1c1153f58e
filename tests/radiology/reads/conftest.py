"""A study with findings, the read panel's buttons, and a colleague."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from apps.radiology.models import Read, Study
from apps.radiology.studies.reads import labels_to_read


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


@pytest.fixture
def read_by():
    """One reader's whole read of a study: `marks` before the commit, `after` it, signed at the end."""

    def take(
        client: Client, study: Study, *, text: str = "", sign: bool = True,
        after: dict[str, str] | None = None, **marks: str,
    ) -> Read:  # fmt: skip
        door, labels = f"/radiology/studies/{study.public_id}/read/", labels_to_read()
        client.post(door)
        form = {f"verdict-{labels.index(label)}": verdict for label, verdict in marks.items()}
        client.post(f"{door}commit/", {**form, "text": text})
        if sign:
            later = {f"verdict-{labels.index(label)}": verdict for label, verdict in (after or {}).items()}
            client.post(f"{door}sign/", {**form, **later, "text": text})
        return Read.objects.latest("committed_at")

    return take
