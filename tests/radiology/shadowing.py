"""Two film versions that say what a test wants of each film, one in service and one in shadow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from apps.accounts.models import User
from apps.modelops.common.places import artefact_folder
from apps.modelops.models import ModelVersion, TrainingJob
from apps.radiology.analysis import inference
from apps.radiology.analysis.inference import Champion
from apps.radiology.analysis.services import analyse
from apps.radiology.analysis.services.analyse import analyse_instance
from apps.radiology.common.decoding import reduce_apart
from apps.radiology.common.store import film_path
from apps.radiology.lifecycle.services import follow
from apps.radiology.lifecycle.services.shadow import start_shadow
from apps.radiology.models import Analysis, Instance, ShadowAnalysis, ShadowRun
from ml.common.artefact import write_artefact
from ml.radiology.contracts import ACCEPTED, FindingScore, GateVerdict, ImagePrediction

POINT = 0.5
YES, NO = {"Effusion": 0.8}, {"Effusion": 0.2}
Said = Mapping[str, float] | GateVerdict | type[Exception]


class Says:
    """A predictor by the pixels of each film: probabilities, a verdict that it is not its to judge, or an
    error."""

    def __init__(self) -> None:
        self.of: dict[bytes, Said] = {}
        self.shown: list[int] = []

    def admits(self, header: Any) -> GateVerdict:
        return ACCEPTED

    def judge(self, films: Any) -> list[ImagePrediction]:
        self.shown.append(len(films))
        return [self._one(self.of[film.pixels.tobytes()]) for film in films]

    def _one(self, said: Said) -> ImagePrediction:
        if isinstance(said, type):
            raise said
        if isinstance(said, GateVerdict):
            return ImagePrediction((), said)
        return ImagePrediction(tuple(FindingScore(k, p, POINT, p >= POINT) for k, p in said.items()))


@pytest.fixture
def ml_admin(make_user) -> User:
    inference._challenger.cache_clear()
    return make_user("ml_admin")


def version_of(champion: ModelVersion, artefact_hash: str, number: int) -> ModelVersion:
    given = {"site": champion.dataset.site, "domain": "radiology", "dataset": champion.dataset}
    return ModelVersion.objects.create(
        model=champion.model, number=number, artefact_hash=artefact_hash, dataset=champion.dataset,
        job=TrainingJob.objects.create(preset="tiny", **given),
    )  # fmt: skip


@pytest.fixture
def challenger(version, folders) -> ModelVersion:
    """Its artefact is whole; what it says is made up."""
    made = folders / "made"
    made_hash = write_artefact(made, kind="radiology", files={}, meta={})
    target = artefact_folder(made_hash)
    target.parent.mkdir(parents=True, exist_ok=True)
    made.rename(target)
    return version_of(version, made_hash, 4)


@pytest.fixture
def serving(version, monkeypatch) -> Says:
    made = Says()
    monkeypatch.setattr(analyse, "current_champion", lambda: Champion(version.pk, "", made))
    return made


@pytest.fixture
def shadowing(challenger, monkeypatch) -> Says:
    made = Says()
    monkeypatch.setattr(follow, "challenger", lambda version: Champion(version.pk, "", made))
    return made


@pytest.fixture
def begin(site, ml_admin) -> Callable[[ModelVersion], ShadowRun]:
    return lambda version: start_shadow(version, by=ml_admin, site=site)


@pytest.fixture
def waits(received, serving, shadowing) -> Callable[..., Instance]:
    """A film that waits, once both versions know what to say of it."""
    seeds = iter(range(1000))

    def take(was: Said, would: Said, **attributes: Any) -> Instance:
        instance = received(seed=next(seeds), **attributes)
        pixels = reduce_apart(film_path(instance.site, instance.file_sha256)).film.pixels.tobytes()
        serving.of[pixels], shadowing.of[pixels] = was, would
        return instance

    return take


@pytest.fixture
def analysed(waits) -> Callable[..., Analysis]:
    """A film that the version in service judged: `was`; the one in shadow will say `would`."""

    def take(was: Said, would: Said, **attributes: Any) -> Analysis:
        instance = waits(was, would, **attributes)
        analyse_instance(instance.pk)
        return Analysis.objects.get(instance=instance)

    return take


def said() -> list[tuple[int, str, bool, bool]]:
    rows = ShadowAnalysis.objects.order_by("analysis")
    return list(rows.values_list("analysis", "state", "was_raised", "raised"))
