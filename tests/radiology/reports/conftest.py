"""A study whose read can be signed, and what its report became."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset

from apps.accounts.models import User
from apps.radiology.common.store import film_path
from apps.radiology.models import Read, ReportDocument, Study
from apps.radiology.tasks import make_reports
from tests.radiology.reads.conftest import other, press, study

__all__ = ["other", "press", "study"]
MARKED = {"verdict-0": "present", "side-0": "L", "text": "Small, at the base."}


@pytest.fixture
def sign(press: Callable[..., Any]) -> Callable[..., Read]:
    """Begin, commit and sign this reader's read of a study, marked so."""

    def all_of_it(study: Study, **form: Any) -> Read:
        User.objects.filter(email="radiologist@example.org").update(full_name="Ada Reader")
        form = form or MARKED
        press(study)
        press(study, "commit", **form)
        answer = press(study, "sign", **form)
        assert answer.status_code == 302, answer.content
        return Read.objects.filter(study=study).latest("pk")

    return all_of_it


@pytest.fixture
def signed(sign: Callable[..., Read], study: Study) -> Read:
    """Signed, and its document made: an effusion on the left, and nothing said of a nodule."""
    read = sign(study)
    make_reports.run()
    return read


def document(read: Read, number: int = 0) -> Dataset:
    """As a file, the last one or the one of this number."""
    made = read.documents.exclude(file_sha256="").order_by("number")
    found: ReportDocument | None = made.filter(number=number).first() if number else made.last()
    assert found is not None
    return pydicom.dcmread(io.BytesIO(film_path(found.site, found.file_sha256).read_bytes()))
