"""Payments behind a comparison of versions: told from the dataset, led to in the site's own database."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.urls import reverse

from apps.accounts.models import Site
from apps.fraud.lifecycle.version_cases import described, links
from apps.modelops.common.places import dataset_folder
from apps.modelops.models import DatasetSnapshot
from tests.behind_doors import make_things


@pytest.fixture
def dataset(site, settings, tmp_path) -> DatasetSnapshot:
    import pandas as pd

    settings.VAR_DIR = tmp_path
    folder = dataset_folder(site, "fraud", "frozen")
    folder.mkdir(parents=True)
    rows = {
        "event_id": ["one", "two"], "card_token": ["tok_secret", "tok_secret"], "amount_minor": [1234, 500],
        "currency": ["EUR", "EUR"], "occurred_at": [datetime(2026, 3, 1, 14, 5, tzinfo=UTC)] * 2,
        "channel": ["ecom", "unknown"], "entry_mode": ["key_entered", ""],
    }  # fmt: skip
    pd.DataFrame(rows).to_parquet(folder / "events.parquet")
    return DatasetSnapshot.objects.create(site=site, domain="fraud", name="frozen", manifest_sha256="")


def test_what_a_payment_is_like_and_nobodys_card(dataset) -> None:
    second, first = described(dataset, [1, 0])
    assert (first.title, first.key) == ("Payment of 12.34 EUR", "one")
    assert first.facts == (
        ("At", "2026-03-01 14:05 UTC"), ("Channel", "ecom"), ("Entry", "key entered"),
    )  # fmt: skip
    assert [name for name, _ in second.facts] == ["At"]
    assert "tok_secret" not in repr((first, second))


def test_only_the_sites_own_events_are_led_to(dataset, site) -> None:
    south = Site.objects.create(slug="south", name="South")
    own, other = make_things(site).decision, make_things(south).decision
    ids = [own.transaction.event_id, other.transaction.event_id, "never"]
    found = links(dataset, ids)
    assert {link.href for link in found.values()} == {reverse("fraud:decision", args=[own.public_id])}
