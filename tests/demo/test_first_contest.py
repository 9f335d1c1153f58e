"""What the demo has at its start in the lists of cases and contests, sent through the doors, once."""

from __future__ import annotations

import httpx
import pytest

from apps.fraud.models import Case, Contest
from demo import first_contest
from demo.first_contest import contest_and_open_a_case
from demo.seed import api_token, seed


@pytest.mark.django_db(transaction=True)
def test_it_works(live_server, settings) -> None:
    settings.LYNCEUS_DEMO = True
    seed()
    headers = {"Authorization": f"Bearer {api_token()}"}
    for _ in range(2):  # a start that was cut off is followed by another
        contest_and_open_a_case(live_server.url, headers)
    contest = Contest.objects.select_related("decision").get()
    assert (contest.decision.outcome, contest.settled_at) == ("decline", None)
    assert Case.objects.get().entries.count() == 3


def test_a_door_that_cannot_now_is_asked_again(monkeypatch) -> None:
    answers = iter([503, 503, 200])
    given = {"request": httpx.Request("POST", "http://here/")}
    monkeypatch.setattr(httpx, "post", lambda *_, **__: httpx.Response(next(answers), **given))
    monkeypatch.setattr(first_contest.time, "sleep", lambda _: None)
    first_contest._send("http://here/", {}, {})
    assert next(answers, None) is None


def test_but_not_for_ever(monkeypatch) -> None:
    given = {"request": httpx.Request("POST", "http://here/")}
    monkeypatch.setattr(httpx, "post", lambda *_, **__: httpx.Response(503, **given))
    monkeypatch.setattr(first_contest, "PATIENCE_S", -1.0)
    with pytest.raises(httpx.HTTPStatusError):
        first_contest._send("http://here/", {}, {})
