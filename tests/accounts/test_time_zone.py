"""Times are kept in UTC and shown in the zone of the reader's site."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from apps.accounts.models import Site
from apps.radiology.models import Study

AT = datetime(2026, 1, 1, 23, 30, tzinfo=UTC)


@pytest.mark.parametrize(("zone", "shown"), [("Asia/Tokyo", "2026-01-02 08:30"), ("", "2026-01-01 23:30")])
def test_a_page_shows_the_sites_time_and_utc_beside_it(client: Client, site, make_user, zone, shown) -> None:
    Site.objects.filter(pk=site.pk).update(time_zone=zone)
    Study.objects.create(site=site, StudyInstanceUID="1.2.3", received_at=AT, changed_at=AT)
    client.force_login(make_user("radiologist"))
    text = client.get("/radiology/").content.decode()
    assert f">{shown}</time>" in text
    assert "2026-01-01 23:30:00 UTC" in text


def test_a_zone_nobody_knows_is_refused(site) -> None:
    site.time_zone = "Mars/Olympus"
    with pytest.raises(ValidationError):
        site.full_clean()
