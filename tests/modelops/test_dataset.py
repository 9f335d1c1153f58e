"""A dataset's page: what was frozen, how it is split, who learnt from it."""

from __future__ import annotations

import pytest
from django.urls import reverse

from apps.core.errors import LynceusError
from apps.modelops.datasets.services.datasets import new_dataset_folder
from apps.modelops.models import DatasetSnapshot

SUMMARY = {
    "n": 1200, "n_fraud": 34, "events_sha256": "ab" * 32, "splits": {"test": 300, "train": 900},
    "positives": {"Effusion": 77}, "findings": ["Effusion", "Mass"],
}  # fmt: skip


def address_of(dataset) -> str:
    return reverse("modelops:dataset", args=[dataset.pk])


def test_it_works(admin, dataset, make_version) -> None:
    DatasetSnapshot.objects.update(summary=SUMMARY)
    version = make_version()
    page = admin.get(address_of(dataset)).content.decode()
    for text in ("1,200", "Fraud", "train 75 %", "900", "77", "Effusion, Mass", dataset.manifest_sha256):
        assert text in page, text
    assert page.index("train 75 %") < page.index("test 25 %")
    assert reverse("modelops:version", args=[version.pk]) in page


def test_a_dataset_nobody_learnt_from_says_so(admin, dataset) -> None:
    page = admin.get(address_of(dataset)).content.decode()
    assert "None yet" in page
    assert f"?dataset={dataset.pk}" in page


def test_another_sites_dataset_is_not_found(stranger, dataset) -> None:
    assert stranger.get(address_of(dataset)).status_code == 404


def test_a_folder_of_no_dataset_is_named_before_anything_is_read(site, settings, tmp_path) -> None:
    settings.VAR_DIR = tmp_path
    folder = new_dataset_folder(site, "films", "left")
    folder.mkdir(parents=True)
    with pytest.raises(LynceusError, match="belongs to no dataset") as refused:
        new_dataset_folder(site, "films", "left")
    assert refused.value.code == "dataset_folder_exists"
