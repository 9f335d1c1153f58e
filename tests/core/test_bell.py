"""A bell is rung after commit and never fails the caller; the sweeper survives one broken app."""

from __future__ import annotations

import pytest
from celery import current_app
from django.db import transaction

from apps.core import sweep
from apps.core.bell import ring


@pytest.mark.django_db(transaction=True)
def test_a_rolled_back_transaction_rings_nothing(monkeypatch) -> None:
    sent: list[tuple[str, list[object]]] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, args, **_: sent.append((name, args)))
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        ring("core.sweep", 1)
        raise ZeroDivisionError
    assert sent == []
    with transaction.atomic():
        ring("core.sweep", 2)
        assert sent == []
    assert sent == [("core.sweep", [2])]


@pytest.mark.django_db(transaction=True)
def test_a_dead_broker_does_not_fail_the_caller(caplog) -> None:
    ring("core.sweep")
    assert "bell_not_heard" in caplog.text


def test_one_broken_sweeper_does_not_stop_the_next(monkeypatch) -> None:
    monkeypatch.setattr(sweep, "_sweepers", {})
    sweep.register_sweeper("broken", lambda: 1 // 0)
    sweep.register_sweeper("well", lambda: 3)
    assert sweep.sweep_all() == {"broken": -1, "well": 3}
