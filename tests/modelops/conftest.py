from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connection
from django.test import Client

from apps.accounts.models import Site, User
from apps.modelops import registry
from apps.modelops.common.places import dataset_folder
from apps.modelops.datasets.services.datasets import register_dataset
from apps.modelops.jobs.services import jobs
from apps.modelops.jobs.services.jobs import request_training
from apps.modelops.models import DatasetSnapshot, ModelVersion, TrainingJob
from ml.common.artefact import write_artefact
from tests.modelops.domain import watcher
from tests.modelops.domain.trainer import register
from tests.promoting import put_in_service

METRICS = {
    "validation": {"auc": 0.7, "n": 1000},
    "test": {
        "auc": 0.65, "brier": 0.0004, "sensitivity": None, "n": 1234, "intervals": {"auc": [0.6, 0.71]},
        "findings": {"Effusion": {"auc": 0.81, "intervals": {"auc": [0.7, 0.9]}}, "Mass": {"ap": 0.2}},
    },
    "ablation": {"first_half": {"auc": 0.55}},
    "thresholds": {"review": 0.158},
}  # fmt: skip


@pytest.fixture
def dataset(site, settings, tmp_path, monkeypatch) -> DatasetSnapshot:
    settings.VAR_DIR = tmp_path
    monkeypatch.setattr(registry, "_domains", {})
    register()
    folder = dataset_folder(site, "testing", "small")
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    return register_dataset(site=site, domain="testing", name="small", folder=folder, summary={"n": 2})


@pytest.fixture
def make_job(dataset):
    def make(how: str = "well") -> TrainingJob:
        return request_training(dataset=dataset, preset="tiny", params={"how": how})

    return make


@pytest.fixture
def child_can_start(transactional_db, settings, tmp_path, monkeypatch) -> None:
    """The training subprocess finds the test's own database, folder and domain."""
    name = connection.settings_dict["NAME"]
    url = urlsplit(settings.DATABASE_URL)._replace(path=f"/{name}").geturl()
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("LYNCEUS_VAR", str(tmp_path))
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "tests.modelops.domain.settings")


@pytest.fixture
def admin(client: Client, make_user) -> Client:
    client.force_login(make_user("ml_admin", full_name="Ada North"))
    return client


@pytest.fixture
def stranger(dataset) -> Client:
    """An administrator of another site."""
    south = Site.objects.create(slug="south", name="South")
    client = Client()
    client.force_login(User.objects.create_user("s@example.org", "x", site=south, role="ml_admin"))
    return client


@pytest.fixture
def make_version(make_job, tmp_path):
    """A version with a whole artefact on disk and these measures."""

    def make(
        metrics: Mapping[str, Any] | None = None, how: str = "well", *,
        files: Mapping[str, bytes] | None = None, **meta: Any,
    ) -> ModelVersion:  # fmt: skip
        job = jobs.claim(make_job().pk)
        made = tmp_path / f"made-{job.pk}"
        meta = {"job": job.pk, "how": how, **meta}
        artefact_hash = write_artefact(made, kind="testing", files=files or {}, meta=meta)
        return jobs.finish_succeeded(job, made, artefact_hash, metrics or METRICS)

    return make


@pytest.fixture
def serving(make_version, monkeypatch) -> ModelVersion:
    """A version in service, of which nothing was seen yet."""
    version = make_version()
    put_in_service(version)
    monkeypatch.setattr(watcher, "FACTS", {})
    return version
