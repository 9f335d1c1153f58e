"""Sabotage: what each guard of a promotion is for, shown by taking it out. The guards' own tests stand in
test_promoting.py and test_gate.py."""

from __future__ import annotations

import time

import pytest
from django.db import connection
from django.urls import reverse

from apps.accounts import second_factor
from apps.modelops.common.selectors import artefact_dir
from apps.modelops.models import GateRun, Model, PromotionRequest
from apps.modelops.promotion import gate_views
from apps.modelops.promotion.services import gate, promotion
from tests.modelops.test_gate import checked
from tests.modelops.test_promoting import ada, asked, bo, decide, passed, places
from tests.modelops.test_version import address_of
from tests.promoting import put_in_service, signed_in, signed_in_with_code

__all__ = ["ada", "asked", "bo", "passed"]
LATER_S = 600  # within a session, beyond a fresh code


def test_two_looks_at_the_locked_part_would_go_on_at_once(passed, site) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("DROP INDEX one_open_gate_run")
    for _ in range(2):
        gate.request_gate_run(passed, by=None, site=site)
    assert GateRun.objects.filter(version=passed, status="queued").count() == 2


def test_two_versions_would_wait_for_one_place(asked, make_version, ada, site, monkeypatch) -> None:
    other = make_version()
    checked(other, site)
    monkeypatch.setattr(promotion, "_require_none_open", lambda model: None)
    promotion.ask_to_promote(other, by=ada, site=site)
    assert PromotionRequest.objects.filter(status="open").count() == 2
    assert places() == (1, None, 3)  # the first request's version has lost its place


def test_the_gates_word_on_another_champion_would_do(asked, passed, make_version, bo, monkeypatch) -> None:
    put_in_service(make_version())
    monkeypatch.setattr(promotion, "_require_same_champion", lambda asked, model: None)
    assert decide(signed_in_with_code(bo), asked, "promote").status_code == 200
    assert places() == (2, 3, None)


def test_a_damaged_artefact_would_serve(asked, passed, bo, monkeypatch) -> None:
    (artefact_dir(passed) / "manifest.json").write_text("{}")
    monkeypatch.setattr(promotion, "open_artefact", lambda *given, **named: None)
    assert decide(signed_in_with_code(bo), asked, "promote").status_code == 200
    assert places() == (2, 1, None)


def test_a_code_of_a_while_ago_would_do(asked, bo, monkeypatch) -> None:
    client, real = signed_in_with_code(bo), time.time
    monkeypatch.setattr(second_factor.time, "time", lambda: real() + LATER_S)
    assert "reauthenticate" in decide(client, asked, "promote").redirect_chain[0][0]
    assert places() == (1, None, 2)
    monkeypatch.setattr(second_factor, "FRESH_S", 2 * LATER_S)
    decide(client, asked, "promote")
    assert places() == (2, 1, None)


@pytest.mark.parametrize("guarded", [True, False])
def test_a_password_alone_would_promote_and_roll_back(asked, bo, monkeypatch, guarded) -> None:
    signed_in_with_code(bo)  # who has a second factor, but did not give it in this session
    if not guarded:
        monkeypatch.setattr(gate_views, "ask_for_second_factor", lambda request: None)
    client = signed_in(bo)
    client.post(reverse("modelops:decide", args=[asked.pk]), {"decision": "promote"})
    assert places() == ((1, None, 2) if guarded else (2, 1, None))
    if not guarded:
        client.post(address_of(Model.objects.get().previous, "back"))
        assert places() == (1, None, None)
