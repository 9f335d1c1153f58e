"""A second version of the fraud model, and how it is put in shadow."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from apps.accounts.models import User
from apps.fraud import inference
from apps.fraud.models import (
    ShadowRun,
    ShadowScore,
)
from apps.fraud.services.shadow import start_shadow
from apps.modelops.models import ModelVersion, TrainingJob
from apps.modelops.places import artefact_folder


@pytest.fixture
def ml_admin(make_user) -> User:
    inference.challenger.cache_clear()
    return make_user("ml_admin")


def version_of(champion: ModelVersion, artefact_hash: str, number: int) -> ModelVersion:
    given = {"site": champion.dataset.site, "domain": "fraud", "dataset": champion.dataset, "preset": "tiny"}
    job = TrainingJob.objects.create(**given)
    return ModelVersion.objects.create(
        model=champion.model, number=number, artefact_hash=artefact_hash, dataset=champion.dataset, job=job
    )


@pytest.fixture
def challenger(champion, trained_again) -> ModelVersion:
    artefact_folder(trained_again.artefact_hash).symlink_to(trained_again.artefact_dir)
    return version_of(champion, trained_again.artefact_hash, 2)


@pytest.fixture
def begin(site, ml_admin) -> Callable[[ModelVersion], ShadowRun]:
    return lambda version: start_shadow(version, by=ml_admin, site=site)


def scores() -> list[float | None]:
    return list(ShadowScore.objects.order_by("decision").values_list("score", flat=True))
