"""Twenty analysts and two thousand alerts at once: nobody ever holds the same card, and all are settled."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

import pytest
from django.db import connection, transaction
from django.db.models import QuerySet
from django.test import Client

from apps.accounts.models import Site, User
from apps.fraud.models import Alert, AlertStatus, WorkItem
from apps.fraud.work.services.work import close_alerts
from tests.fraud.queued import fill

pytestmark = pytest.mark.django_db(transaction=True)
ANALYSTS, CARDS, ALERTS_A_CARD = 20, 250, 8


@pytest.fixture
def clients(site: Site) -> list[Client]:
    found = []
    for number in range(ANALYSTS):
        user = User.objects.create_user(f"a{number}@example.org", site=site, role="fraud_analyst")
        client = Client()
        client.force_login(user)
        found.append(client)
    return found


def together(clients: list[Client], work: Callable[[Client], None]) -> None:
    faults: list[BaseException] = []
    gate = threading.Barrier(len(clients))

    def run(client: Client) -> None:
        try:
            gate.wait()
            work(client)
        except BaseException as error:
            faults.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


def test_twenty_analysts_settle_two_thousand_alerts_and_never_hold_the_same(clients, source) -> None:
    fill(source, CARDS, ALERTS_A_CARD)
    holds: Counter[int] = Counter()
    settled: Counter[int] = Counter()
    met: list[int] = []
    mine_only = threading.Lock()

    def work(client: Client) -> None:
        user = User.objects.get(pk=client.session["_auth_user_id"])
        while client.post("/fraud/next/")["Location"] != "/fraud/":
            item = WorkItem.objects.get(locked_by=user)
            with mine_only:
                holds[item.pk] += 1
                if holds[item.pk] > 1:
                    met.append(item.pk)
            with transaction.atomic():
                done = close_alerts(item, list(item.alerts.values_list("pk", flat=True)), user)
                with mine_only:
                    holds[item.pk] -= 1
            with mine_only:
                settled.update(alert.pk for alert in done)

    together(clients, work)
    assert met == []
    assert len(settled) == CARDS * ALERTS_A_CARD and set(settled.values()) == {1}
    assert not Alert.objects.exclude(status=AlertStatus.CLOSED).exists()
    assert not WorkItem.objects.filter(closed_at=None).exists()


def taken_in_one_round(clients: list[Client]) -> list[str]:
    """The pages to which those are led who ask for the next at the same moment."""
    got: list[str] = []
    together(clients, lambda client: got.append(client.post("/fraud/next/")["Location"]))
    return got


def test_without_locked_rows_two_get_the_same(clients, source, monkeypatch) -> None:
    fill(source, 3 * ANALYSTS, 1)
    assert len(set(taken_in_one_round(clients))) == ANALYSTS
    monkeypatch.setattr(QuerySet, "select_for_update", lambda self, **_: self)
    rounds = 0
    while len(set(taken_in_one_round(clients))) == ANALYSTS and rounds < 20:
        WorkItem.objects.update(locked_by=None, locked_until=None)
        rounds += 1
    assert rounds < 20
