"""A version's page: what it was measured to do."""

from __future__ import annotations

from django.urls import reverse

from apps.modelops.promotion.services.promotion import install_first_champion
from apps.modelops.templatetags.training import figure
from tests.modelops.conftest import METRICS


def address_of(version, name: str = "version") -> str:
    return reverse(f"modelops:{name}", args=[version.pk])


def test_it_works(admin, make_version) -> None:
    version = make_version()
    page = admin.get(address_of(version)).content.decode()
    for text in (
        "(0.600 to 0.710)", "1,234", "0.0004", "not defined", "Effusion", "0.810", "First half", "0.550",
        "0.158", version.artefact_hash, f"job {version.job_id}", "Never in service",
    ):  # fmt: skip
        assert text in page, text


def test_a_version_without_measures_still_has_a_page(admin, make_version) -> None:
    assert "Nothing was measured" in admin.get(address_of(make_version({"note": "x"}))).content.decode()


def test_the_champion_stands_beside_it_only_if_their_test_was_the_same(admin, make_version, site) -> None:
    install_first_champion(make_version(METRICS | {"test": {"auc": 0.987}}), by=None, site=site)
    candidate = make_version()
    page = admin.get(address_of(candidate)).content.decode()
    assert "Champion v1, test" in page
    assert "0.987" in page
    other = candidate.dataset
    other.pk, other.name = None, "other"
    other.save()
    candidate.dataset = other
    candidate.save()
    page = admin.get(address_of(candidate)).content.decode()
    assert "0.987" not in page
    assert "tested on other data" in page


def test_another_sites_version_is_not_found(stranger, make_version) -> None:
    assert stranger.get(address_of(make_version())).status_code == 404


def test_a_large_sum_is_told_without_decimals() -> None:
    assert [figure(value) for value in (494_675.333, 1234, 0.65, 0.0004, None)] == [
        "494,675", "1,234", "0.650", "0.0004", "not defined",
    ]  # fmt: skip
