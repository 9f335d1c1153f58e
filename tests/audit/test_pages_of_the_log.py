"""The log by day and by page: the same events on the page and in the export, and no row read twice."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from django.db import connection
from django.db.models import QuerySet
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.accounts.models import Site
from apps.audit import selectors, views
from apps.audit.models import AuditEvent
from apps.audit.selectors import actions_of
from apps.audit.services import record

LOG, EXPORT = "/audit/", "/audit/export.csv"
# 2026-03-08 in New York begins at 05:00 UTC and ends, an hour short, at 04:00 of the next day.
MOMENTS = {
    "eve": datetime(2026, 3, 8, 4, 59, tzinfo=UTC), "first": datetime(2026, 3, 8, 5, 0, tzinfo=UTC),
    "last": datetime(2026, 3, 9, 3, 59, tzinfo=UTC), "next": datetime(2026, 3, 9, 4, 0, tzinfo=UTC),
}  # fmt: skip


@pytest.fixture
def auditor(client: Client, make_user) -> Client:
    client.force_login(make_user("auditor"))
    return client


@pytest.fixture
def new_york(site: Site) -> Site:
    site.time_zone = "America/New_York"
    site.save()
    for name, at in MOMENTS.items():
        AuditEvent.objects.create(
            at=at, site=site, actor="system", action="study.viewed", subject=f"study:{name}"
        )
    return site


def on_page(auditor: Client, **query: object) -> list[str]:
    return re.findall(r"<code>study:(\w+)</code>", auditor.get(LOG, query).content.decode())


def exported(auditor: Client, **query: object) -> list[str]:
    answer = auditor.get(EXPORT, query)
    return re.findall(r"study:(\w+)", b"".join(answer.streaming_content).decode())


def test_a_day_is_the_sites_own_on_the_page_and_in_the_export(auditor: Client, new_york) -> None:
    assert on_page(auditor, day="2026-03-08") == ["last", "first"]
    assert exported(auditor, day="2026-03-08") == ["last", "first"]


def test_by_date_in_sql_the_export_would_be_another_day(auditor: Client, new_york, monkeypatch) -> None:
    def of_date(site: Site, *, day: object, **rest: str) -> QuerySet[AuditEvent]:
        return AuditEvent.objects.filter(site=site, at__date=day, subject__startswith="study").order_by("-id")

    monkeypatch.setattr(views, "events_of", of_date)
    assert on_page(auditor, day="2026-03-08") == ["last", "first"]
    assert exported(auditor, day="2026-03-08") == ["first", "eve"]


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31", "yesterday"])
def test_a_day_out_of_reach_finds_nothing(auditor: Client, new_york, day: str) -> None:
    assert "cannot be used" in auditor.get(LOG, {"day": day}).content.decode()
    assert exported(auditor, day=day) == []


@pytest.fixture
def seven(site: Site, monkeypatch) -> None:
    monkeypatch.setattr(selectors, "PAGE_ROWS", 3)
    for number in range(7):
        record("study.viewed", site=site, actor=None, subject=f"study:{number}")


def link(auditor: Client, word: str, url: str) -> str:
    page = auditor.get(url).content.decode()
    [href] = re.findall(rf'href="([^"]+)" rel="\w+">{word}<', page)
    return LOG + href.replace("&amp;", "&")


def seen(auditor: Client, url: str) -> list[str]:
    return re.findall(r"<code>study:(\w+)</code>", auditor.get(url).content.decode())


def test_pages_go_on_where_the_last_one_ended(auditor: Client, seven, site) -> None:
    first = LOG + "?action=study.viewed"
    assert seen(auditor, first) == ["6", "5", "4"]
    second = link(auditor, "Older", first)
    record("study.viewed", site=site, actor=None, subject="study:7")  # meanwhile; it moves nothing
    assert seen(auditor, second) == ["3", "2", "1"]
    third = link(auditor, "Older", second)
    assert seen(auditor, third) == ["0"]
    assert "Older" not in auditor.get(third).content.decode()
    back = link(auditor, "Newer", third)
    assert seen(auditor, back) == ["3", "2", "1"]
    newest = link(auditor, "Newer", back)
    assert seen(auditor, newest) == ["6", "5", "4"]
    assert seen(auditor, link(auditor, "Newer", newest)) == ["7", "6", "5"]


@pytest.mark.parametrize("place", ["before=1", "after=999999", "before=x", "after=-1", "before=" + "9" * 30])
def test_beyond_an_end_is_the_newest_page(auditor: Client, seven, place: str) -> None:
    assert seen(auditor, f"{LOG}?action=study.viewed&{place}") == ["6", "5", "4"]


def test_the_export_is_not_cut_to_a_page(auditor: Client, seven) -> None:
    page = auditor.get(LOG, {"action": "study.viewed", "before": 5}).content.decode()
    [href] = re.findall(r'href="([^"]+)">Export CSV', page)
    assert "before" not in href
    assert len(exported(auditor, action="study.viewed", before=5)) == 7


def test_no_page_reads_every_row(auditor: Client, seven) -> None:
    with CaptureQueriesContext(connection) as asked:
        auditor.get(LOG)
    sql = [one["sql"] for one in asked if 'FROM "audit_auditevent"' in one["sql"]]
    assert sql
    assert [one for one in sql if "COUNT(" in one or "DISTINCT" in one or "LIMIT 4" not in one] == []


def test_the_actions_offered_are_the_sites_own(seven, site) -> None:
    record("model.promoted", site=site, actor=None)
    record("audit.exported", site=Site.objects.create(slug="south", name="South"), actor=None)
    assert actions_of(site) == ["model.promoted", "study.viewed"]
    assert actions_of(Site.objects.create(slug="east", name="East")) == []
