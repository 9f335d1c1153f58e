"""A version's page: what it was measured to do, and the promotion of it."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from apps.audit.models import AuditEvent
from apps.modelops.models import Model
from apps.modelops.selectors import artefact_dir, champion
from apps.modelops.services.promotion import promote_version
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
    promote_version(make_version(METRICS | {"test": {"auc": 0.987}}), by=None, site=site)
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


def test_promoting_records_who_did_it(admin, make_version) -> None:
    version = make_version()
    answer = admin.post(address_of(version, "promote"), follow=True)
    assert "in service" in answer.content.decode()
    assert "Ada North" in answer.content.decode()
    assert champion("testing") == version
    event = AuditEvent.objects.get(action="version.promoted")
    user = answer.context["user"]
    assert (event.subject, event.actor) == (f"version:{version.pk}", f"user:{user.pk}")
    assert version.promotions.get().by == user


def test_rolling_back_is_promoting_the_earlier_one(admin, make_version) -> None:
    first, second = make_version(), make_version()
    admin.post(address_of(first, "promote"))
    admin.post(address_of(second, "promote"))
    assert "Roll back to this version" in admin.get(address_of(first)).content.decode()
    admin.post(address_of(first, "promote"))
    assert champion("testing") == first
    assert first.promotions.count() == 2
    assert AuditEvent.objects.filter(action="version.promoted").count() == 3


def test_a_damaged_artefact_is_not_promoted(admin, make_version) -> None:
    version = make_version()
    (artefact_dir(version) / "manifest.json").write_text("{}")
    answer = admin.post(address_of(version, "promote"))
    assert answer.status_code == 409
    assert champion("testing") is None
    assert not AuditEvent.objects.filter(action="version.promoted").exists()


def test_promoting_takes_a_post_with_its_token(make_version, make_user) -> None:
    version = make_version()
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user("ml_admin"))
    assert client.post(address_of(version, "promote")).status_code == 403
    assert client.get(address_of(version, "promote")).status_code == 405
    assert Model.objects.get().champion is None


@pytest.mark.parametrize("method", ["get", "post"])
def test_another_sites_version_is_not_found(stranger, make_version, method) -> None:
    version = make_version()
    name = "version" if method == "get" else "promote"
    assert getattr(stranger, method)(address_of(version, name)).status_code == 404
    assert champion("testing") is None


def test_a_large_sum_is_told_without_decimals() -> None:
    assert [figure(value) for value in (494_675.333, 1234, 0.65, 0.0004, None)] == [
        "494,675", "1,234", "0.650", "0.0004", "not defined",
    ]  # fmt: skip
