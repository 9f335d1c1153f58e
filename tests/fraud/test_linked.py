"""Payments linked by card, device, IP, merchant and terminal: counted and listed, never at a scan's price."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client

from apps.accounts.models import Site
from apps.audit.models import AuditEvent
from apps.audit.selectors import events_of
from apps.core.clock import now
from apps.fraud.alerts import linked
from apps.fraud.alerts.linked import _newest, _sources, linked_to
from apps.fraud.models import Decision, Transaction
from apps.fraud.wire.services.sources import ensure_source
from benchmarks.linked_scale import PAYMENTS
from tests.fraud.conftest import drain_all, event
from tests.fraud.test_labels import say

SHARED = {"device_id": "d1", "ip": "203.0.113.7"}


@pytest.fixture
def analyst(client: Client, make_user) -> Client:
    client.force_login(make_user("fraud_analyst"))
    return client


@pytest.fixture
def events(post, source) -> Transaction:
    """Sixty of one merchant and device on twenty cards, one of them a fraud; and one of long ago."""
    places = [{"card_token": f"c{n % 20}", "terminal_id": f"t{n % 3}"} for n in range(60)]
    post([event(f"m{n}", occurred_at=ago(minutes=n + 1), **one, **SHARED) for n, one in enumerate(places)])
    post(event("old", occurred_at=ago(days=29), card_token="c1", merchant_id="elsewhere", terminal_id="t0"))
    drain_all()
    say(source, "m7")
    return Transaction.objects.get(event_id="m0")


def ago(**given: float) -> str:
    return (now() - timedelta(**given)).isoformat()


def test_it_works(events, site) -> None:
    found = linked_to(site, events)
    counts = {kind: (one.events, one.cards, one.frauds) for kind, one in found.items()}
    assert counts == {
        "card": (2, 1, 0), "device": (59, 20, 1), "ip": (59, 20, 1), "merchant": (59, 20, 1),
        "terminal": (20, 19, 0),
    }  # fmt: skip
    assert found["merchant"].last_fraud_at == Transaction.objects.get(event_id="m7").occurred_at


def test_the_last_word_on_a_payment_counts(events, site, source) -> None:
    say(source, "m7", fraud=False)
    assert linked_to(site, events)["merchant"].frauds == 0


def test_what_the_event_does_not_say_links_nothing(post, site, source) -> None:
    post([event("e1"), event("e2")])
    drain_all()
    assert list(linked_to(site, Transaction.objects.get(event_id="e1"))) == ["card", "merchant", "terminal"]


def test_another_sites_payments_are_not_counted(events, site) -> None:
    south = Site.objects.create(slug="south", name="South")
    other = ensure_source(site=south, slug="south", name="South")
    Transaction.objects.filter(event_id__in=["m1", "m7"]).update(source=other)
    found = linked_to(site, events)["merchant"]
    assert (found.events, found.frauds) == (57, 0)


def test_no_more_than_so_many_are_counted(events, site, monkeypatch) -> None:
    monkeypatch.setattr(linked, "COUNTED_MAX", 5)
    found = linked_to(site, events)["merchant"]
    assert (found.events, found.frauds, found.capped) == (5, 0, True)


def test_the_list_goes_page_by_page_and_each_is_audited(events, analyst) -> None:
    address = f"/fraud/decisions/{events.decision.public_id}/linked/merchant/"
    first = analyst.get(address).content.decode()
    older = re.search(r'href="(\?after=[^"]+)"', first)[1]
    second = analyst.get(address + older).content.decode()
    seen = [*re.findall(r'<tr data-id="(\d+)"', first), *re.findall(r'<tr data-id="(\d+)"', second)]
    assert len(seen) == len(set(seen)) == 59
    assert "Older" not in second
    assert AuditEvent.objects.filter(action="linked.viewed", detail={"by": "merchant"}).count() == 2


def test_known_frauds_by_themselves_and_none_can_be_cleared(events, analyst) -> None:
    address = f"/fraud/decisions/{events.decision.public_id}/linked/"
    assert len(re.findall("data-id", analyst.get(address + "device/?known=fraud").content.decode())) == 1
    assert "Show all" in analyst.get(address + "card/?known=fraud").content.decode()
    assert analyst.get(address + "ip/?after=%27~9").status_code == 200
    assert analyst.get(address + "shoe/").status_code == 404


def test_what_there_is_none_of_has_no_list(post, analyst) -> None:
    post(event("e1"))
    drain_all()
    address = f"/fraud/decisions/{Decision.objects.get().public_id}/linked/"
    assert analyst.get(address + "device/").status_code == 404
    assert "No other payment" in analyst.get(address + "card/").content.decode()


INDEXES = {
    "card": "card_timeline", "device": "device_events", "ip": "ip_events", "merchant": "merchant_events",
    "terminal": "terminal_events",
}  # fmt: skip


@pytest.fixture
def many(source) -> Transaction:
    """Of twenty thousand payments one at a shop where one in a hundred is made."""
    given = {"source": source.pk, "total": 20_000, "first": 1, "last": 20_000, "status": "decided"}
    with connection.cursor() as cursor:
        cursor.execute(PAYMENTS, given)
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ANALYZE fraud_transaction")
    found = Transaction.objects.filter(merchant_id="shop").first()
    assert found is not None
    return found


def plan_of(rows) -> str:
    return str(rows.explain())


@pytest.mark.parametrize("kind", INDEXES)
def test_each_count_reads_an_index_and_without_it_the_whole_table(many, site, kind) -> None:
    newest = _newest(kind, many, _sources(site))[:1000]
    plan = plan_of(newest)
    assert INDEXES[kind] in plan and "Seq Scan on fraud_transaction" not in plan
    with connection.cursor() as cursor:
        cursor.execute(f"DROP INDEX {INDEXES[kind]}")
    assert "Seq Scan on fraud_transaction" in plan_of(newest)


LOOKS = """
INSERT INTO audit_auditevent (at, site_id, actor, action, subject, detail)
SELECT now(), %s, 'user:1', 'transaction.viewed', 'transaction:' || n %% 500, '{}'
FROM generate_series(1, 10000) AS n
"""


def test_who_looked_is_found_along_an_index_and_without_it_among_all_looks(site, db) -> None:
    looks = events_of(site, action="transaction.viewed", subject="transaction:7")[:100]
    with connection.cursor() as cursor:
        cursor.execute(LOOKS, [site.pk])
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ANALYZE audit_auditevent")
        assert "audit_subject" in plan_of(looks)
        cursor.execute("DROP INDEX audit_subject")
    assert "audit_subject" not in plan_of(looks) and len(looks) == 20
