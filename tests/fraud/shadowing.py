"""A second version of the fraud model, how it is put in shadow, and what it would say from the first on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from apps.accounts.models import User
from apps.fraud.lifecycle.services.shadow import start_shadow
from apps.fraud.models import (
    ShadowRun,
    ShadowScore,
)
from apps.fraud.serving import inference
from apps.modelops.common.places import artefact_folder
from apps.modelops.models import ModelVersion, TrainingJob
from tests.fraud.test_promotion import vectors


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


def as_if_it_had_served(version: ModelVersion) -> list[float]:
    """What a network that saw every vector from the first on says of each."""
    model = inference.predictor_of(version.artefact_hash)
    hidden, scores = None, []
    for vector in vectors():
        [margin] = model.tree_margins(vector[None, :-1])
        logit, hidden = model.gru.step(vector[:-1], margin, hidden)
        [score] = model.probabilities(np.array([margin + np.float32(logit)], np.float32))
        scores.append(float(score))
    return scores
