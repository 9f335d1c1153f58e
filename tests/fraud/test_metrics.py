"""What a scraper learns of the desk: outcomes and latency of the last minutes, and no card."""

from __future__ import annotations

from django.test import Client

from apps.fraud.decide.services.drain import drain_shard
from apps.fraud.models import SHARDS
from tests.fraud.conftest import event


def test_decisions_of_the_last_minutes_are_counted(client: Client, post) -> None:
    post([event("m1"), event("m2")])
    for shard in range(SHARDS):
        drain_shard(shard)
    text = client.get("/metrics").content.decode()
    assert 'lynceus_decisions_recent{mode="rules_only",outcome="approve"} 2.0' in text
    assert 'lynceus_decision_latency_ms{quantile="0.99"}' in text
    assert "card-0001" not in text
