from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from standardwebhooks import Webhook

from apps.accounts.models import ApiClient, User
from apps.accounts.services import rotate_secret
from apps.core.clock import now
from apps.fraud.decide.services import drain
from apps.fraud.models import (
    SHARDS,
    Alert,
    KeyState,
    ListEntry,
    ListKind,
    ListName,
    RuleSet,
    ShardLock,
    Source,
)
from apps.fraud.rules.rules import Rule
from apps.fraud.rules.services import rulesets
from apps.fraud.rules.services.lists import add_entry
from apps.fraud.rules.services.rulesets import activate_version, save_version
from apps.fraud.serving import inference
from apps.fraud.wire.services.sources import ensure_source, rotate_source_secret
from apps.fraud.work.services.gather import gather_alerts
from apps.modelops.common import places
from apps.modelops.models import DatasetSnapshot, Model, ModelVersion, TrainingJob
from apps.modelops.promotion.services.promotion import install_first_champion
from ml.common.contracts import TrainRequest, TrainResult
from ml.fraud.config import PRESETS
from ml.fraud.importing import freeze_frame
from ml.fraud.simulator import simulate
from tests.fraud.listener import Listener


def state_of(key: str = "card:card-0001") -> KeyState:
    return KeyState.objects.get(key=key)


def event(event_id: str = "e1", **changes: Any) -> dict[str, Any]:
    return {
        "event_id": event_id, "type": "authorization", "occurred_at": now().isoformat(),
        "card_token": "card-0001", "amount_minor": 1250, "currency": "EUR", "merchant_id": "m1",
        "terminal_id": "t1", "mcc": "5411", "country": "BE", "entry_mode": "chip", "channel": "pos",
        **changes,
    }  # fmt: skip


@pytest.fixture(autouse=True)
def sqlite_may_flush(request) -> None:
    """Between tests SQLite is emptied by DELETE, which the audit's triggers rightly refuse."""
    if connection.vendor == "sqlite" and "site" in request.fixturenames:
        request.getfixturevalue("site")
        with connection.cursor() as cursor:
            for table in ("audit_auditevent", "audit_auditseal"):
                for verb in ("update", "delete"):
                    cursor.execute(f"DROP TRIGGER IF EXISTS {table}_no_{verb}")


@pytest.fixture(autouse=True)
def no_rules_in_mind() -> None:
    """What this process knows of a site is of the test before, whose keys SQLite hands out again."""
    rulesets.forget()


@pytest.fixture
def source(site) -> Source:
    return ensure_source(site=site, slug="acquirer", name="Acquirer")


@pytest.fixture
def post(client: Client, source: Source) -> Callable[..., Any]:
    """Signs with an implementation of Standard Webhooks that is not ours."""
    secret = rotate_source_secret(source)

    def send(
        body: Any,
        *,
        raw: bytes | None = None,
        at: datetime | None = None,
        door: str = "transactions",
        **headers: str,
    ) -> Any:
        content = json.dumps(body).encode() if raw is None else raw
        moment = at or now()
        signature = Webhook(secret).sign("msg_1", moment, content.decode())
        given = {
            "webhook-id": "msg_1",
            "webhook-timestamp": str(int(moment.timestamp())),
            "webhook-signature": signature,
            "lynceus-source": source.slug,
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        return client.post(f"/api/v1/{door}", content, content_type="application/json", headers=given)

    return send


@pytest.fixture
def ask(client: Client, site, source) -> Callable[..., Any]:
    api_client = ApiClient.objects.create(
        site=site, name="acquirer", scopes=["fraud"], source_slug="acquirer"
    )
    token = rotate_secret(api_client)

    def get(event_id: str, query: str = "") -> Any:
        return client.get(
            f"/api/v1/decisions/{event_id}{query}", headers={"authorization": f"Bearer {token}"}
        )

    return get


@pytest.fixture
def listener(source, settings) -> Iterator[Listener]:
    heard = Listener()
    settings.LYNCEUS_WEBHOOK_ALLOW = [ipaddress.ip_network("127.0.0.0/8")]
    Source.objects.update(webhook_url=heard.url)
    yield heard
    heard.server.shutdown()
    heard.server.server_close()


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> TrainResult:
    from ml.fraud.train import train

    base: Path = tmp_path_factory.mktemp("champion")
    (base / "checkpoints").mkdir()
    start = datetime(2026, 1, 1, tzinfo=UTC)
    freeze_frame(simulate(n_customers=250, n_terminals=100, n_days=40, start=start, seed=1), base / "d", "x")
    asked = TrainRequest(base / "d", base / "output", base / "checkpoints", PRESETS["tiny"], device="cpu")
    return train(asked, lambda _: None)


@pytest.fixture(scope="session")
def trained_again(trained, tmp_path_factory) -> TrainResult:
    """Another network on the same data."""
    from ml.fraud.train import train

    base = tmp_path_factory.mktemp("next")
    (base / "checkpoints").mkdir()
    data = trained.artefact_dir.parent / "d"
    asked = TrainRequest(data, base / "output", base / "checkpoints", PRESETS["tiny"], seed=9, device="cpu")
    return train(asked, lambda _: None)


@pytest.fixture
def champion(site, trained, settings, tmp_path, monkeypatch) -> ModelVersion:
    """A real, small, trained version in service."""
    settings.VAR_DIR = tmp_path
    monkeypatch.setattr(inference, "_loaded", None)
    monkeypatch.setattr(inference, "_failed", ("", 0.0))
    places.artefact_folder(trained.artefact_hash).symlink_to(trained.artefact_dir)
    dataset = DatasetSnapshot.objects.create(site=site, domain="fraud", name="x", manifest_sha256="")
    job = TrainingJob.objects.create(site=site, domain="fraud", dataset=dataset, preset="tiny")
    model = Model.objects.create(domain="fraud")
    version = ModelVersion.objects.create(
        model=model, number=1, artefact_hash=trained.artefact_hash, dataset=dataset, job=job
    )
    install_first_champion(version, by=None, site=site)
    return version


def drain_all() -> int:
    """Every shard's bell is answered; returns how many transactions were decided."""
    return sum(drain.drain_shard(shard) for shard in range(SHARDS))


def come_back(champion: Any, trained: Any) -> None:
    """The artefact is on this host again, and what could not be read is looked at again."""
    places.artefact_folder(champion.artefact_hash).symlink_to(trained.artefact_dir)
    inference._failed = ("", 0.0)
    ShardLock.objects.update(late_retry_at=now())


@pytest.fixture
def unread(champion, trained, post) -> Callable[..., None]:
    """Decides by rules while the artefact cannot be read, then puts it back."""

    def do(*events: dict[str, Any]) -> None:
        places.artefact_folder(champion.artefact_hash).unlink()
        post(list(events))
        drain_all()
        come_back(champion, trained)

    return do


@pytest.fixture
def author(make_user) -> User:
    return make_user("fraud_analyst")


@pytest.fixture
def second(site) -> User:
    return User.objects.create_user("second@example.org", site=site, role="fraud_analyst")


@pytest.fixture
def serve(site, author, second) -> Callable[..., RuleSet]:
    def put(*rules: Rule) -> RuleSet:
        version = save_version(site=site, author=author, rules=rules, note="a test")
        activate_version(site=site, version=version, by=second, without_shadow=True)
        return version

    return put


@pytest.fixture
def listed(site, author) -> Callable[..., ListEntry]:
    def put(name: str, kind: str, value: str, **changes: Any) -> ListEntry:
        given = {"reason": "seen before", "expires_at": None, **changes}
        return add_entry(
            site=site, name=ListName(name), kind=ListKind(kind), value=value, author=author, **given
        )

    return put


@pytest.fixture
def alerts(post, source) -> Callable[..., list[Alert]]:
    """Alerts by the built-in rules, a payment of each amount, gathered; the sender holds them."""
    number = count()

    def make(*amounts: int, card: str = "card-0001", **changes: Any) -> list[Alert]:
        sent = [
            event(f"a{next(number)}", card_token=card, amount_minor=amount, **changes) for amount in amounts
        ]
        assert post(sent).status_code == 202
        drain_all()
        gather_alerts()
        names = [one["event_id"] for one in sent]
        return list(Alert.objects.filter(decision__transaction__event_id__in=names).order_by("pk"))

    return make
