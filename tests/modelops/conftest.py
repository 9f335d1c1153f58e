from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from django.db import connection

from apps.modelops import registry
from apps.modelops.models import DatasetSnapshot, TrainingJob
from apps.modelops.places import dataset_folder
from apps.modelops.services.datasets import register_dataset
from apps.modelops.services.jobs import request_training
from tests.modelops.domain.trainer import register


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
