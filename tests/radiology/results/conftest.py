"""A study whose results are due, and what the tests take them apart with."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from django.test import Client
from pydicom.dataset import Dataset

from apps.core.sweep import sweep_all
from apps.modelops.models import ModelVersion
from apps.radiology.analysis.inference import Answer
from apps.radiology.analysis.services.analyse import analyse_instance
from apps.radiology.analysis.services.claims import claim
from apps.radiology.analysis.services.outcomes import Outcome, finish
from apps.radiology.common.store import film_path
from apps.radiology.models import Instance, Result, ResultKind, Status
from apps.radiology.tasks import make_results
from ml.radiology.contracts import FindingScore
from tests.radiology.conftest import as_file, film
from tests.radiology.test_quiet import quieten

LOOKED = np.tile(np.linspace(0, 255, 40, dtype=np.uint8), (48, 1))


@pytest.fixture
def read(received, version: ModelVersion) -> Callable[..., Instance]:
    """A film that came in and was decoded and judged, by label=(probability, operating point)."""

    def take(data: Dataset | None = None, by: int | None = None, **scores: Any) -> Instance:
        instance = received(as_file(film() if data is None else data))
        analyse_instance(instance.pk)
        return judge(instance, by or version.pk, **scores)

    return take


def judge(instance: Instance, version_id: int, **scores: tuple[float, float | None]) -> Instance:
    claimed = claim(instance.pk)
    assert claimed is not None
    claimed.has_picture = True
    found = tuple(
        FindingScore(label, p, at, called, LOOKED if called else None)
        for label, (p, at) in scores.items()
        for called in [at is not None and p >= at]
    )
    finish([Outcome(claimed, Status.ANALYSED, answer=Answer(version_id, found))])
    return Instance.objects.get(pk=instance.pk)


def settle() -> None:
    """As the sweeper and the worker do once the study is quiet."""
    quieten(10)
    sweep_all()
    make_results.run()


@pytest.fixture
def ask(client: Client, token: str) -> Callable[[str], list[Dataset]]:
    """What WADO-RS gives out."""

    def get(path: str) -> list[Dataset]:
        answer = client.get(f"/dicom-web/studies/{path}", headers={"authorization": f"Bearer {token}"})
        return parts(answer) if answer.status_code == 200 else []

    return get


def parts(answer: Any) -> list[Dataset]:
    body, boundary = b"".join(answer.streaming_content), answer["Content-Type"].split("boundary=")[1]
    chunks = body.split(f"--{boundary}".encode())[1:-1]
    return [pydicom.dcmread(io.BytesIO(chunk.split(b"\r\n\r\n", 1)[1][:-2])) for chunk in chunks]


def path_of(result: Result) -> Path:
    return film_path(result.site, result.file_sha256)


def report() -> Dataset:
    return pydicom.dcmread(path_of(Result.objects.filter(kind=ResultKind.REPORT).latest("pk")))


def items(item: Dataset) -> Iterator[Dataset]:
    yield item
    for child in item.get("ContentSequence", []):
        yield from items(child)


def texts(data: Dataset) -> list[str]:
    """All that a report says in words or by a code, but the view of its films."""
    said = []
    for item in items(data):
        name = item.ConceptNameCodeSequence[0].CodeMeaning
        if "TextValue" in item:
            said.append(item.TextValue)
        if "ConceptCodeSequence" in item and name != "Image View":
            said.append(item.ConceptCodeSequence[0].CodeMeaning)
    return said
