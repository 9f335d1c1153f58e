"""Rows from before the narrow tables keep their ids, hashes, vectors and reasons."""

from __future__ import annotations

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from apps.core.clock import now
from apps.fraud.models import FraudLabel
from apps.fraud.settle.services.dispositions import dispose_again
from tests.fraud.test_dispositions import FRAUD, LARGE, LEGITIMATE, label_all, settle

REASONS = [
    {"code": "other", "text": "the rest", "weight": 1.0, "value": None, "baseline": None},
    {"code": "amount", "text": "a large amount", "weight": 0.5, "value": 1, "baseline": 0},
]


def migrate(name: str):
    executor = MigrationExecutor(connection)
    executor.migrate([("fraud", name)])
    return MigrationExecutor(connection).loader.project_state([("fraud", name)]).apps


@pytest.mark.django_db(transaction=True)
def test_what_was_in_the_wide_tables_moves(site) -> None:
    old = migrate("0002_card_guard")
    source = old.get_model("fraud", "Source").objects.create(site_id=site.pk, slug="s", name="S")
    row = old.get_model("fraud", "Transaction").objects.create(
        source=source, event_id="e1", body_sha256="ab" * 32, type="authorization", occurred_at=now(),
        card_token="c", amount_minor=1, amount_reporting_minor=1, currency="EUR", merchant_id="m",
        terminal_id="t", mcc="5411", country="BE", entry_mode="chip", channel="pos", received_at=now(),
        shard=0, status="decided",
    )  # fmt: skip
    old.get_model("fraud", "Decision").objects.create(
        transaction=row, outcome="approve", mode="rules_only", reasons=REASONS, features=b"1234",
        decided_at=now(), latency_ms=1,
    )  # fmt: skip
    latest = MigrationExecutor(connection).loader.graph.leaf_nodes("fraud")[0][1]
    new = migrate(latest)
    key = new.get_model("fraud", "EventKey").objects.get(source_id=source.pk, event_id="e1")
    assert (key.transaction_id, key.body_sha256) == (row.pk, "ab" * 32)
    made = new.get_model("fraud", "Decision").objects.select_related("evidence").get()
    assert (bytes(made.evidence.features), made.evidence.reasons) == (b"1234", REASONS)
    assert made.main_reason == "a large amount"


@pytest.mark.django_db(transaction=True)
def test_what_analysts_said_twice_goes_back_to_the_release_before(alerts, author) -> None:
    found = alerts(LARGE)
    made = settle(found, FRAUD, author)
    label_all()
    for said in (LEGITIMATE, FRAUD):
        made = dispose_again(made, said, author)
        label_all()
    migrate("0017_work")
    migrate(MigrationExecutor(connection).loader.graph.leaf_nodes("fraud")[0][1])
    assert list(FraudLabel.objects.order_by("pk").values_list("fraud", flat=True)) == [True, False, True]
