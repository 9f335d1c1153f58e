"""Rules and lists in service: which entries count, whose they are, versions, two people, the record."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import DatabaseError, transaction

from apps.accounts.models import Site, User
from apps.audit.models import AuditEvent
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.fraud.models import (
    ListEntry,
    ListKind,
    ListName,
    RuleActivation,
    RuleRevision,
    RuleSet,
)
from apps.fraud.rules.rulebook import version_for
from apps.fraud.rules.services import lists, rulesets
from apps.fraud.rules.services.lists import add_entry
from apps.fraud.rules.services.rulesets import activate_version, active_rules, save_version
from tests.fraud.conftest import event
from tests.fraud.test_rules import decide, rule

pytestmark = pytest.mark.decision


# Lists.


def test_an_entry_counts_until_it_expires(listed, post, monkeypatch) -> None:
    listed("block", "device_id", "d1", expires_at=now() + timedelta(hours=1))
    [before] = decide(post, event("e1", device_id="d1"))
    later = now() + timedelta(hours=2)
    monkeypatch.setattr("apps.fraud.common.listed.now", lambda: later)
    _, after = decide(post, event("e2", device_id="d1"))
    assert (before.outcome, after.outcome) == ("decline", "approve")


def test_an_ended_entry_no_longer_counts(listed, author, post) -> None:
    entry = listed("block", "ip", "2001:db8::1")
    first, second = event("e1", ip="2001:DB8::1"), event("e2", ip="2001:db8:0::1")
    [before] = decide(post, first)
    lists.end_entry(entry=entry, by=author)
    _, after = decide(post, second)
    assert (before.outcome, after.outcome) == ("decline", "approve")


def test_without_a_new_revision_it_would_go_on(listed, author, post, monkeypatch) -> None:
    entry = listed("block", "ip", "2001:db8::1")
    decide(post, event("e1", ip="2001:db8::1"))
    monkeypatch.setattr(lists, "moved", lambda site: entry.revision)
    lists.end_entry(entry=entry, by=author)
    _, after = decide(post, event("e2", ip="2001:db8::1"))
    assert after.outcome == "decline"


def test_what_has_expired_can_be_listed_again(site, listed) -> None:
    listed("block", "bin", "411111", expires_at=now() + timedelta(seconds=1))
    ListEntry.objects.update(created_at=now() - timedelta(days=1), expires_at=now() - timedelta(hours=1))
    listed("block", "bin", "411111")
    assert ListEntry.objects.filter(ended_at=None).count() == 1
    with pytest.raises(LynceusError, match="already"):
        listed("block", "bin", "411111")
    rulesets.forget()
    assert len(active_rules(site).listed) == 1


def test_lists_are_bounded(listed, monkeypatch) -> None:
    monkeypatch.setattr(lists, "ENTRIES_MAX", 1)
    listed("block", "ip", "192.0.2.1")
    with pytest.raises(LynceusError) as refused:
        listed("block", "ip", "192.0.2.2")
    assert refused.value.code == "list_full"
    assert ListEntry.objects.count() == 1


# Sites apart, versions apart.


def test_another_sites_rules_and_lists_are_not_ours(post, source) -> None:
    south(source.site)
    [made] = decide(post, event())
    assert (made.outcome, made.ruleset_version) == ("approve", 1)


def test_one_memory_for_all_sites_would_mix_them(post, source, monkeypatch) -> None:
    class Shared(dict):  # type: ignore[type-arg]
        def get(self, key: int, default: Any = None) -> Any:
            return next(iter(self.values()), default)

    monkeypatch.setattr(rulesets, "_kept", Shared())
    other = south(source.site)
    RuleRevision.objects.create(site=source.site, number=RuleRevision.objects.get(site=other).number)
    active_rules(other)
    [made] = decide(post, event())
    assert made.outcome == "decline"


def south(north: Site) -> Site:
    """Another site, which declines and blocks everything."""
    site = Site.objects.create(slug="south", name="South")
    people = [User.objects.create_user(f"{n}@south.example", site=site, role="fraud_analyst") for n in "ab"]
    version = save_version(site=site, author=people[0], rules=[rule()], note="x")
    activate_version(site=site, version=version, by=people[1], without_shadow=True)
    add_entry(
        site=site, name=ListName.BLOCK, kind=ListKind.MERCHANT_ID, value="m1", reason="x", expires_at=None,
        author=people[0],
    )  # fmt: skip
    return site


def test_a_new_version_leaves_what_was_decided(champion, serve, post, ask) -> None:
    serve(rule(action="review"))
    [made] = decide(post, event())
    before = ask("e1").json()
    serve()
    assert ask("e1").json() == before
    out = io.StringIO()
    call_command("replay", str(made.public_id), stdout=out)
    assert out.getvalue().startswith("The same, version 1")


def test_going_back_is_another_activation(site, serve, second, post) -> None:
    serve(rule())
    activate_version(site=site, version=version_for(site, 1), by=second)
    [made] = decide(post, event())
    assert (made.outcome, made.ruleset_version) == ("approve", 1)
    assert [one.ruleset_id is None for one in RuleActivation.objects.order_by("pk")] == [False, True]


@pytest.mark.parametrize("model", [RuleSet, RuleActivation])
def test_the_database_lets_nothing_be_rewritten(serve, model) -> None:
    serve(rule())
    with pytest.raises(DatabaseError, match="never changed"), transaction.atomic():
        model.objects.update(site_id=0)


def test_a_batch_asks_one_small_question(site, serve, monkeypatch, django_assert_max_num_queries) -> None:
    serve(rule())
    first, asked = active_rules(site), []
    honest = rulesets.run
    monkeypatch.setattr(rulesets, "run", lambda *how: (asked.append(how), honest(*how))[1])
    with django_assert_max_num_queries(1):
        assert active_rules(site) is first
    assert len(asked) == 1


# Two people.


def test_the_author_does_not_put_it_in_service(site, author) -> None:
    version = save_version(site=site, author=author, rules=[rule()], note="x")
    with pytest.raises(LynceusError) as refused:
        activate_version(site=site, version=version, by=author, without_shadow=True)
    assert refused.value.code == "four_eyes"
    assert not RuleActivation.objects.exists()


def test_what_was_in_service_once_anybody_may_go_back_to(site, serve, author) -> None:
    version = serve(rule())
    serve()
    activate_version(site=site, version=version, by=author, without_shadow=True)
    assert active_rules(site).version == version.number


def test_an_operator_is_the_second_person_where_one_analyst_is_alone(site, author, make_user) -> None:
    version = save_version(site=site, author=author, rules=[rule()], note="x")
    operator = make_user("operator")
    extra = User.objects.create_user("extra@example.org", site=site, role="fraud_analyst")
    with pytest.raises(LynceusError):
        activate_version(site=site, version=version, by=operator, without_shadow=True)
    extra.is_active = False
    extra.save()
    activate_version(site=site, version=version, by=operator, without_shadow=True)
    assert active_rules(site).version == version.number


def test_every_change_is_in_the_record_and_no_value_is(serve, listed, author) -> None:
    serve(rule())
    lists.end_entry(entry=listed("block", "card_token", "card-0001"), by=author)
    said = AuditEvent.objects.filter(action__regex="^(rules|list)").order_by("pk")
    assert [one.action for one in said] == ["rules.saved", "rules.activated", "list.added", "list.ended"]
    assert "card-0001" not in "".join(f"{one.subject}{one.detail}" for one in said)
