"""Sources and their secrets: one site's for good, readable for good, and never changed unrecorded."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from apps.accounts.models import Site
from apps.audit.models import AuditEvent
from apps.fraud.admin import SourceAdmin
from apps.fraud.models import Source, SourceSecret
from apps.fraud.wire.services import sources
from apps.fraud.wire.services.sources import valid_secrets
from tests.fraud.conftest import event

pytestmark = pytest.mark.decision
ADMIN = "/admin/fraud/source/"


@pytest.fixture
def operator(make_user) -> Client:
    client = Client()
    client.force_login(make_user("operator", is_superuser=True))
    return client


def rename(operator: Client, source: Source) -> None:
    """With everything the form may hold, to a new slug and another site."""
    south = Site.objects.create(slug="south", name="South")
    form = {
        "slug": "renamed", "name": "New name", "site": south.pk, "is_active": "on", "webhook_url": "",
        "review_means": "hold", "on_timeout": "approve",
    }  # fmt: skip
    assert operator.post(f"{ADMIN}{source.pk}/change/", form).status_code == 302


def test_the_admin_changes_neither_slug_nor_site(operator: Client, post, source, site) -> None:
    rename(operator, source)
    source.refresh_from_db()
    assert (source.name, source.slug, source.site) == ("New name", "acquirer", site)
    assert post(event()).status_code == 202


def test_after_a_rename_no_secret_could_be_read(operator: Client, post, source, monkeypatch) -> None:
    monkeypatch.delattr(SourceAdmin, "get_readonly_fields")
    rename(operator, source)
    assert post(event(), lynceus_source="renamed").json()["code"] == "secret_unreadable"


def test_the_admin_names_a_new_source(operator: Client, site) -> None:
    form = {"slug": "shop", "name": "Shop", "site": site.pk, "review_means": "hold", "on_timeout": "approve"}
    operator.post(f"{ADMIN}add/", form)
    assert Source.objects.get(slug="shop").site == site


def make(slug: str, site: str) -> str:
    call_command("make_source", slug, site=site, stdout=(out := StringIO()))
    return out.getvalue().strip()


def test_a_source_made_and_a_secret_changed_are_recorded(site) -> None:
    secrets = {make("shop", "north"), make("shop", "north")}
    source = Source.objects.get()
    assert set(valid_secrets(source)) == secrets
    said = AuditEvent.objects.order_by("id").values_list("action", "subject", "site__slug")
    subject = f"source:{source.pk}"
    assert list(said) == [
        ("source.added", subject, "north"),
        ("source.secret_rotated", subject, "north"),
        ("source.secret_rotated", subject, "north"),
    ]
    assert not any(secret in str(list(AuditEvent.objects.values())) for secret in secrets)


def test_a_secret_whose_change_cannot_be_recorded_stays(site, monkeypatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise RuntimeError

    make("shop", "north")
    monkeypatch.setattr(sources, "record", refuse)
    with pytest.raises(RuntimeError):
        make("shop", "north")
    assert SourceSecret.objects.get().expires_at is None


def test_another_sites_source_is_refused_and_keeps_its_secret(site) -> None:
    Site.objects.create(slug="south", name="South")
    make("shop", "north")
    with pytest.raises(CommandError, match="another site"):
        make("shop", "south")
    assert SourceSecret.objects.get().expires_at is None
