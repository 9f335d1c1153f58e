"""The auditor's page: own site only, filters, export; sign-ins are on it."""

from __future__ import annotations

import pytest
from django.test import Client

from apps.accounts.models import Site
from apps.audit.models import AuditEvent
from apps.audit.services import record
from tests.accounts.test_login import sign_in


@pytest.fixture
def auditor(client: Client, make_user) -> Client:
    client.force_login(make_user("auditor"))
    return client


def test_it_works(auditor: Client, site) -> None:
    record("study.viewed", site=site, actor=None, subject="study:17")
    page = auditor.get("/audit/").content.decode()
    assert "study:17" in page
    assert "waiting" in page


def test_another_sites_events_are_not_shown_or_exported(auditor: Client) -> None:
    other = Site.objects.create(slug="south", name="South")
    record("study.viewed", site=other, actor=None, subject="study:99")
    assert b"study:99" not in auditor.get("/audit/").content
    assert b"study:99" not in b"".join(auditor.get("/audit/export.csv").streaming_content)


def test_filters(auditor: Client, site) -> None:
    record("study.viewed", site=site, actor=None, subject="study:17")
    record("model.promoted", site=site, actor=None, subject="version:4")
    page = auditor.get("/audit/", {"action": "model.promoted"}).content.decode()
    assert "version:4" in page
    assert "<code>study:17" not in page
    assert "Nothing matches" in auditor.get("/audit/", {"subject": "study:18"}).content.decode()
    assert "cannot be used" in auditor.get("/audit/", {"actor": "'; --"}).content.decode()


def test_the_export_is_filtered_and_itself_recorded(auditor: Client, site) -> None:
    record("study.viewed", site=site, actor=None, subject="study:17", detail={"version": 2})
    answer = auditor.get("/audit/export.csv", {"action": "study.viewed"})
    lines = b"".join(answer.streaming_content).decode().splitlines()
    assert lines[0] == "id,at,actor,action,subject,detail"
    assert len(lines) == 2
    assert '"{""version"": 2}"' in lines[1]
    assert AuditEvent.objects.filter(action="audit.exported").count() == 1


def test_only_the_auditor_reads_it(client: Client, make_user) -> None:
    client.force_login(make_user("ml_admin"))
    assert client.get("/audit/").status_code == 403
    assert client.get("/audit/export.csv").status_code == 403


def test_sign_ins_are_recorded_without_what_was_typed(client: Client, make_user) -> None:
    user = make_user("radiologist")
    sign_in(client, user.email, "wrong secret")
    sign_in(client, "nobody@example.org", "wrong secret")
    sign_in(client, user.email)
    rows = list(AuditEvent.objects.order_by("id").values_list("action", "actor", "subject"))
    assert rows == [
        ("user.sign_in_failed", "system", f"user:{user.pk}"),
        ("user.sign_in_failed", "system", ""),
        ("user.signed_in", f"user:{user.pk}", ""),
    ]
    assert "secret" not in str(list(AuditEvent.objects.values()))
