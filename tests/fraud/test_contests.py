"""A declined customer does not agree: plain words, and a person who looks again."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from apps.accounts.models import ApiClient
from apps.accounts.services import rotate_secret
from apps.fraud.models import Contest, Source
from apps.fraud.settle.services.contacts import record_contact
from apps.fraud.settle.services.dispositions import dispose
from apps.fraud.wire.plain import KINDS, plain_reasons
from apps.fraud.work.services.work import take_item
from ml.fraud.features import FEATURE_NAMES
from tests.fraud.conftest import drain_all, event
from tests.fraud.test_dispositions import FRAUD

pytestmark = pytest.mark.decision
LARGE = 600_000


@pytest.fixture
def declined(post, source) -> None:
    """e1, by a rule that asks for a review: this source declines what is to be reviewed."""
    Source.objects.update(review_means="decline")
    post(event("e1", amount_minor=LARGE))
    drain_all()


@pytest.fixture
def analyst(client: Client, author) -> Client:
    client.force_login(author)
    return client


@pytest.fixture
def read(site) -> Any:
    token = rotate_secret(
        ApiClient.objects.create(site=site, name="x", scopes=["fraud"], source_slug="acquirer")
    )

    def get(path: str) -> Any:
        return Client().get(f"/api/v1/{path}", headers={"authorization": f"Bearer {token}"})

    return get


def contest(**changes: Any) -> dict[str, Any]:
    return {"contest_id": "c-1", "event_id": "e1", "message": "It was me, at my usual shop.", **changes}


def test_it_works(declined, post, analyst, author, read) -> None:
    answer = post(contest(), door="contests")
    assert (answer.status_code, answer.json()["status"]) == (200, "open")
    [reason] = answer.json()["reasons"]
    assert not re.search(r"\d|rule_|threshold|score|model", reason)
    assert post(contest(), door="contests").json() == answer.json()
    page = analyst.get("/fraud/contests/").content.decode()
    assert "at my usual shop" in page
    made = Contest.objects.get()
    there = f"/fraud/contests/{made.public_id}/"
    assert reason in analyst.get(there).content.decode()
    said = {"outcome": "overturned", "answer": "We are sorry: please pay again."}
    assert analyst.post(there, said).status_code == 302
    assert analyst.post(there, said).status_code == 422  # once
    made.refresh_from_db()
    assert (made.outcome, made.settled_by) == ("overturned", author)
    told = read("contests/c-1").json()
    assert (told["status"], told["outcome"], told["answer"]) == ("settled", "overturned", said["answer"])
    assert "We are sorry" in analyst.get(there).content.decode()
    assert "at m1" in analyst.get("/fraud/contests/?shown=settled").content.decode()


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"event_id": "nobodys"}, 404, "not_found"),
        ({"event_id": "paid"}, 409, "not_declined"),
        ({"event_id": "e2"}, 409, "contest_conflict"),
        ({"message": "my card is 4111 1111 1111 1111"}, 422, "invalid_contest"),
        ({"message": ""}, 422, "invalid_contest"),
        ({"why": "x"}, 422, "invalid_contest"),
    ],
)
def test_what_cannot_be_contested_is_refused(declined, post, changes, status, code) -> None:
    post([event("paid"), event("e2", amount_minor=LARGE)])
    drain_all()
    post(contest(), door="contests")
    given = contest(**changes) if code == "contest_conflict" else contest(contest_id="c-2", **changes)
    answer = post(given, door="contests")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert "4111" not in answer.content.decode()
    assert Contest.objects.count() == 1


def test_a_stale_signature_opens_nothing(declined, client) -> None:
    answer = client.post("/api/v1/contests", contest(), content_type="application/json")
    assert answer.status_code == 401
    assert not Contest.objects.exists()


def test_the_answer_holds_no_card_number(declined, post, analyst) -> None:
    post(contest(), door="contests")
    there = f"/fraud/contests/{Contest.objects.get().public_id}/"
    answer = analyst.post(there, {"outcome": "upheld", "answer": "4111 1111 1111 1111"})
    assert answer.status_code == 422
    assert "4111" not in answer.content.decode()
    assert Contest.objects.get().settled_at is None


@pytest.mark.django_db
def test_no_feature_is_named_to_the_customer() -> None:
    class Made:
        def __init__(self, *codes: str) -> None:
            self.reasons = [{"code": code, "weight": 1.0, "text": "x"} for code in codes]

    for name in FEATURE_NAMES:
        [said] = plain_reasons(Made(name))  # type: ignore[arg-type]
        assert name not in said and not re.search(r"\d", said)
    assert plain_reasons(Made("amount_log", "amount_z", "night")) == [KINDS["amount"], KINDS["night"]]  # type: ignore[arg-type]
    assert len(plain_reasons(Made("amount_z", "night", "speed_log"))) == 2  # type: ignore[arg-type]


def test_every_list_has_its_equivalent(declined, post, alerts, author, read, analyst) -> None:
    post(contest(), door="contests")
    [found] = alerts(LARGE)
    made = dispose(take_item(found.item, author), [found.pk], FRAUD, author)
    record_contact(
        found.decision, channel="phone", outcome="denied", made_at=None, note="", by=author
    )  # fmt: skip
    analyst.post("/fraud/cases/", {"title": "A ring"})
    [said] = read("dispositions").json()["items"]
    assert (said["id"], said["event_ids"], said["type"]) == (str(made.public_id), ["a0"], "stolen")
    [attempt] = read("contacts").json()["items"]
    assert (attempt["event_id"], attempt["outcome"]) == ("a0", "denied")
    [case] = read("cases").json()["items"]
    assert (case["title"], case["state"], case["alerts"]) == ("A ring", "open", 0)
    [contested] = read("contests").json()["items"]
    assert contested["event_id"] == "e1"
    assert read("contests?before=1").json() == {"items": [], "next": None}
    assert read("contests?before=x").status_code == 422
