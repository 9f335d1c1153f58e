"""Our listener and an Orthanc that know each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from pydicom.dataset import Dataset

from apps.accounts.models import Site
from apps.core.clock import now
from apps.radiology import tasks
from apps.radiology.exchange.services.priors import ring_prior_fetches
from apps.radiology.models import DicomNode, DicomPeer, PriorFetch, Study
from tests.orthanc import TITLE, Orthanc, orthanc_running
from tests.radiology.conftest import film
from tests.radiology.test_cstore import port

__all__ = ["port"]
JANE = {"PatientID": "4711", "PatientName": "Doe^Jane", "PatientBirthDate": "19700101"}


@pytest.fixture(scope="session")
def running() -> Iterator[Orthanc]:
    with orthanc_running() as orthanc:
        yield orthanc


@pytest.fixture
def orthanc(running: Orthanc, port: int) -> Orthanc:
    """Empty, and it knows where we listen."""
    running.empty()
    running.knows("LYNCEUS", port)
    return running


@pytest.fixture
def peer(orthanc: Orthanc, site: Site) -> DicomPeer:
    DicomNode.objects.create(site=site, AETitle=TITLE)
    return DicomPeer.objects.create(site=site, AETitle=TITLE, host="127.0.0.1", port=orthanc.port)


@pytest.fixture
def older(orthanc: Orthanc) -> Callable[..., Dataset]:
    """A film that the archive holds, of one patient unless it says otherwise."""

    def store(date: str, **attributes: Any) -> Dataset:
        data = film(**{**JANE, "StudyDate": date, "StudyTime": "0800", **attributes})
        orthanc.take(data)
        return data

    return store


@pytest.fixture
def today(take: Callable[..., Dataset]) -> Callable[..., Study]:
    """A film that arrives, of the same patient."""

    def arrive(**attributes: Any) -> Study:
        data = take(**{**JANE, "StudyDate": "20260301", "StudyTime": "0900", "seed": 99, **attributes})
        return Study.objects.get(StudyInstanceUID=data.StudyInstanceUID)

    return arrive


@pytest.fixture
def look_back() -> Callable[[], list[PriorFetch]]:
    """What sweeper and worker do of it; all fetches as they stand then."""

    def work() -> list[PriorFetch]:
        ring_prior_fetches()
        tasks.fetch_priors()
        return list(PriorFetch.objects.order_by("pk"))

    return work


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """So many minutes go by."""

    def pass_by(minutes: float) -> None:
        at = now() + timedelta(minutes=minutes)
        monkeypatch.setattr("apps.radiology.exchange.services.priors.now", lambda: at)

    return pass_by
