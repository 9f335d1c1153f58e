"""What a site decides by is told to programs as its pages tell it, and to its own alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from apps.accounts.models import ApiClient, Site, User
from apps.accounts.services import rotate_secret
from apps.core.clock import now
from apps.fraud.backtests.services.backtests import start_backtest
from apps.fraud.models import OperatingPoint
from apps.fraud.rules.rules import Rule
from apps.fraud.rules.services.lists import end_entry
from apps.fraud.rules.services.pass_policies import propose_policy, switch_on
from apps.modelops.models import DatasetSnapshot, Model, ModelVersion, TrainingJob

DOORS = ("rules", "lists", "backtests", "operating-points", "pass-through")
Reader = Callable[[str], Any]


@pytest.fixture
def reader() -> Callable[[Site], Reader]:
    def of(site: Site) -> Reader:
        token = rotate_secret(ApiClient.objects.create(site=site, name="x", scopes=["fraud"]))
        bearer = {"authorization": f"Bearer {token}"}
        return lambda path: Client().get(f"/api/v1/{path}", headers=bearer)

    return of


@pytest.fixture
def read(reader, site: Site) -> Reader:
    return reader(site)


@pytest.fixture
def decided_by(serve, listed, site: Site, author: User, second: User) -> None:
    """A version in service, an entry that holds and one that is over, a backtest, a policy, thresholds."""
    version = serve(Rule("rule_night", "amount_minor > 1000", "decline", "{value}", "amount_minor", "1000"))
    listed("block", "merchant_id", "m-1")
    end_entry(entry=listed("block", "merchant_id", "m-2"), by=second)
    start_backtest(site=site, rules=version.rules, version=version.number, days=7, by=author)
    policy = propose_policy(site=site, probability=0.1, daily_cap_minor=5000, note="why", by=author)
    switch_on(policy=policy, by=second)
    data = DatasetSnapshot.objects.create(site=site, domain="fraud", name="x", manifest_sha256="0" * 64)
    job = TrainingJob.objects.create(site=site, domain="fraud", dataset=data, preset="tiny")
    model = Model.objects.create(domain="fraud")
    made = ModelVersion.objects.create(model=model, number=3, artefact_hash="0" * 64, dataset=data, job=job)
    OperatingPoint.objects.create(
        site=site, version=made, method="by_hand", review=0.2, decline=0.8, asked={}, came_to={}, note="why",
        by=author, at=now(),
    )  # fmt: skip


def test_it_works(decided_by, read: Reader, author: User, second: User) -> None:
    [version] = read("rules").json()["items"]
    assert (version["number"], version["in_service"], version["rules"][0]["code"]) == (2, True, "rule_night")
    assert (version["author"], version["approved_by"]) == (author.email, second.email)
    [entry], [over] = (read(f"lists{asked}").json()["items"] for asked in ("", "?show=ended"))
    assert (entry["value"], over["value"], over["ended_by"]) == ("m-1", "m-2", second.email)
    [tested] = read("backtests").json()["items"]
    assert (tested["version"], tested["days"], tested["state"], tested["share"]) == (2, 7, "done", 1)
    [point] = read("operating-points").json()["items"]
    assert (point["model_version"], point["review"], point["decline"], point["until"]) == (3, 0.2, 0.8, None)
    [policy] = read("pass-through").json()["items"]
    assert (policy["probability"], policy["daily_cap_minor"], policy["on"]) == (0.1, 5000, True)


def test_another_site_is_told_nothing(decided_by, reader) -> None:
    other = reader(Site.objects.create(slug="south", name="South"))
    assert [other(door).json()["items"] for door in DOORS] == [[]] * len(DOORS)


def test_what_is_asked_wrongly_is_refused(read: Reader) -> None:
    assert {read(f"{door}?before=x").status_code for door in DOORS} == {422}
    assert read("lists?show=all").status_code == 422
