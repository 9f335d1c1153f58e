"""One verdict on many cards: previewed, at once or not at all, undone as one."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from apps.accounts.models import Site, User
from apps.fraud.models import Alert, AlertStatus, Disposition, WorkItem
from apps.fraud.work.services.work import take_item
from tests.fraud.queued import fill
from tests.fraud.test_dispositions import FIELDS


@pytest.fixture
def me(make_user) -> User:
    return make_user("fraud_analyst")


@pytest.fixture
def analyst(me) -> Client:
    client = Client()
    client.force_login(me)
    return client


@pytest.fixture
def items(source) -> list[WorkItem]:
    fill(source, cards=3, alerts_a_card=2)
    return list(WorkItem.objects.order_by("pk"))


def settle(analyst: Client, items: list[WorkItem], **more: Any) -> Any:
    return analyst.post("/fraud/items/settle/", {"items": [item.pk for item in items], **more})


def shown(page: Any) -> dict[str, str]:
    """What the preview sends back with the verdict."""
    return dict(re.findall(r'name="(upto|alerts)" value="(\d+)"', page.content.decode()))


def open_alerts() -> int:
    return Alert.objects.filter(status=AlertStatus.OPEN).count()


def test_it_works(analyst, items, source) -> None:
    """Two of three cards: previewed, then settled as shown, then undone."""
    preview = settle(analyst, items[:2])
    assert preview.status_code == 200 and open_alerts() == 6
    assert "Settle 4 alerts together" in preview.content.decode()
    done = settle(analyst, items[:2], sure="1", **shown(preview), **FIELDS)
    assert done.status_code == 302 and open_alerts() == 2
    assert len(set(Disposition.objects.values_list("batch", flat=True))) == 1
    page = analyst.get(done["Location"]).content.decode()
    undo = re.search(r'action="(/fraud/dispositions/[^"]+/undo/)"', page)
    assert undo
    assert analyst.post(undo[1]).status_code == 302
    assert open_alerts() == 6


def test_what_came_meanwhile_settles_nothing(analyst, items) -> None:
    sent = shown(settle(analyst, items))
    first = items[0].alerts.order_by("pk")[:1].values("pk")
    Alert.objects.filter(pk__in=list(first.values_list("pk", flat=True))).update(status="closed")
    refused = settle(analyst, items, sure="1", **sent, **FIELDS)
    assert refused.status_code == 422
    assert "Shown: 6 alerts; open now: 5." in refused.content.decode()
    assert open_alerts() == 5 and not Disposition.objects.exists()


def test_what_a_colleague_works_on_settles_nothing(analyst, items, site) -> None:
    other = User.objects.create_user("o@example.org", site=site, role="fraud_analyst", full_name="Col League")
    take_item(items[0], other)
    page = settle(analyst, items)
    assert "Colleagues work on 1 of these" in page.content.decode()
    refused = settle(analyst, items, sure="1", **shown(page), **FIELDS)
    assert "Col League is working on this card." in refused.content.decode()
    assert open_alerts() == 6


@pytest.mark.parametrize("wrong", [{"verdict": "x"}, {"type": ""}, {"reason_fraud": ""}, {"upto": "x"}])
def test_a_verdict_that_is_not_whole_is_refused(analyst, items, wrong) -> None:
    sent = {**shown(settle(analyst, items)), **FIELDS, "sure": "1", **wrong}
    assert settle(analyst, items, **sent).status_code == 422
    assert open_alerts() == 6


def test_nothing_ticked_or_anothers(analyst, items) -> None:
    WorkItem.objects.update(site=Site.objects.create(slug="south", name="South"))
    for given in ([], ["x"], [item.pk for item in items], ["9" * 30]):
        page = analyst.post("/fraud/items/settle/", {"items": given}, follow=True)
        assert "Nothing was changed." in page.content.decode()
