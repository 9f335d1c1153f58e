"""Films behind a comparison of versions: shown from the dataset, led to in the site's own database."""

from __future__ import annotations

import io

import numpy as np
import pytest
from django.test import Client
from django.urls import reverse
from PIL import Image

from apps.accounts.models import Site, User
from apps.audit.models import AuditEvent
from apps.modelops.common.places import dataset_folder
from apps.modelops.models import DatasetSnapshot, Model, ModelVersion, TrainingJob
from apps.radiology.lifecycle.version_cases import described, links
from apps.radiology.models import FrozenLabel
from ml.radiology.importing import freeze_images, load_frozen
from ml.radiology.synthetic import LABELS
from tests import films
from tests.behind_doors import make_things


@pytest.fixture
def version(site, settings, tmp_path, tmp_path_factory) -> ModelVersion:
    settings.VAR_DIR = tmp_path
    folder = films.tiny_films(tmp_path_factory)
    freeze_images(
        folder, folder / "labels.csv", list(LABELS), dataset_folder(site, "radiology", "tiny"), "tiny"
    )
    dataset = DatasetSnapshot.objects.create(site=site, domain="radiology", name="tiny", manifest_sha256="")
    job = TrainingJob.objects.create(site=site, domain="radiology", dataset=dataset, preset="tiny")
    model = Model.objects.create(domain="radiology")
    return ModelVersion.objects.create(
        model=model, number=1, artefact_hash="0" * 64, dataset=dataset, job=job
    )


def address(version, row: int) -> str:
    return reverse("modelops:case_picture", args=[version.pk, row])


def test_an_administrator_sees_the_film_and_the_audit_who_looked(client, make_user, version, site) -> None:
    client.force_login(make_user("ml_admin"))
    answer = client.get(address(version, 5))
    frozen = load_frozen(dataset_folder(site, "radiology", "tiny"))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(answer.content))), frozen.film(5))
    assert answer["Cache-Control"] == "no-store"
    event = AuditEvent.objects.get(action="dataset.film_viewed")
    assert (event.subject, event.detail) == (f"dataset:{version.dataset_id}", {"row": 5})
    assert client.get(address(version, 100_000)).status_code == 404
    assert AuditEvent.objects.filter(action="dataset.film_viewed").count() == 1


def test_another_sites_film_is_not_found(version) -> None:
    south = Site.objects.create(slug="south", name="South")
    stranger = Client()
    stranger.force_login(User.objects.create_user("s@example.org", "x", site=south, role="ml_admin"))
    assert stranger.get(address(version, 5)).status_code == 404
    assert not AuditEvent.objects.filter(action="dataset.film_viewed").exists()


def test_what_a_film_is_like_and_no_patient(version) -> None:
    [one] = described(version.dataset, [3])
    assert one.has_picture
    assert len(one.key) == 64
    assert {name for name, _ in one.facts} <= {"View", "Sex", "Age"}


def test_only_films_whose_reads_made_the_dataset_are_led_to(version, site) -> None:
    things = make_things(site)
    things.instance.pixel_sha256 = "a" * 64
    things.instance.save()
    assert links(version.dataset, ["a" * 64]) == {}
    FrozenLabel.objects.create(
        dataset=version.dataset, read=things.read, label="Effusion", present=True, adjudicated=False
    )
    found = links(version.dataset, ["a" * 64])
    assert found["a" * 64].href == reverse("radiology:study", args=[things.study.public_id])
    things.study.withdrawn = True
    things.study.save()
    assert links(version.dataset, ["a" * 64]) == {}
