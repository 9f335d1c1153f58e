"""The demo's people and keys open nothing outside the demo."""

from __future__ import annotations

import pytest
from django.test import Client

from apps.accounts.models import ApiClient, Site
from apps.accounts.services import rotate_secret
from apps.fraud.wire.services.sources import ensure_source, rotate_source_secret
from apps.radiology.common.selectors import node_titled
from apps.radiology.models import DicomNode
from tests.conftest import PASSWORD

OPEN, SHUT = True, False


@pytest.fixture(params=[OPEN, SHUT])
def demo(request, site, settings) -> bool:
    """The sabotage twin is the demo itself, where the same keys work."""
    Site.objects.filter(pk=site.pk).update(is_demo=True)
    settings.LYNCEUS_DEMO = request.param
    return request.param


def test_a_person_signs_in_only_there(client: Client, make_user, demo) -> None:
    user = make_user("operator")
    client.post("/accounts/login/", {"login": user.email, "password": PASSWORD})
    assert ("_auth_user_id" in client.session) is demo


def test_a_session_from_the_demo_ends(client: Client, make_user, demo) -> None:
    client.force_login(make_user("radiologist"))
    assert (client.get("/radiology/").status_code == 200) is demo


def test_a_token_works_only_there(client: Client, site, demo) -> None:
    token = rotate_secret(ApiClient.objects.create(site=site, name="x", scopes=["radiology"]))
    answer = client.get("/api/v1/studies/1.2.3", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == (404 if demo else 401)


def test_a_webhook_source_is_known_only_there(client: Client, site, demo) -> None:
    rotate_source_secret(ensure_source(site=site, slug="shop", name="Shop"))
    answer = client.post(
        "/api/v1/transactions", b"{}", "application/json", headers={"lynceus-source": "shop"}
    )
    assert answer.json()["code"] == ("missing_signature" if demo else "unknown_source")


def test_a_modality_is_known_only_there(site, demo) -> None:
    DicomNode.objects.create(site=site, AETitle="CR1")
    assert (node_titled("CR1") is not None) is demo
