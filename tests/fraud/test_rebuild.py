"""The running states come out of the decisions again, byte for byte."""

from __future__ import annotations

import io
import time
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.accounts.models import Site
from apps.core.clock import now
from apps.fraud.decide.services.decide import Hurry, decide_transactions
from apps.fraud.models import HeardLater, KeyState, LateState, Transaction
from apps.fraud.serving.services import labels
from apps.fraud.serving.services.rebuild import differing, rebuild
from tests.fraud.conftest import drain_all, event
from tests.fraud.test_labels import say
from tests.fraud.test_promotion import promote  # noqa: F401 - a fixture

pytestmark = pytest.mark.decision


def send(post: Any, first: int, count: int) -> None:
    """In one batch a shard, cards and terminals shared."""
    post(
        [
            event(f"e{i}", card_token=f"c{i % 5}", terminal_id=f"t{i % 3}", amount_minor=500 + 91 * i)
            for i in range(first, first + count)
        ]
    )
    drain_all()


def without_state(event_id: str) -> None:
    """Decided while somebody else held the card, as the synchronous door does."""
    row = Transaction.objects.select_related("source__site").get(event_id=event_id)
    decide_transactions([row], Hurry(time.monotonic() + 60, without_state=True))


def told(**options: Any) -> str:
    out = io.StringIO()
    call_command("rebuild_state", stdout=out, **options)
    return out.getvalue()


@pytest.fixture
def history(champion, promote, source, post) -> None:  # noqa: F811
    """Decisions, labels between them, one late event and one too old, a reversal, a promotion."""
    send(post, 0, 12)
    say(source, "e0", "e4")
    drain_all()
    send(post, 12, 8)
    post(
        event("late", card_token="c1", terminal_id="t1", occurred_at=(now() - timedelta(days=20)).isoformat())
    )
    without_state("late")
    post(
        event("old", card_token="c1", terminal_id="t1", occurred_at=(now() - timedelta(days=31)).isoformat())
    )
    post(event("back", type="reversal", original_event_id="e6", card_token="c1", amount_minor=300))
    say(source, "e3", fraud=False)
    drain_all()
    promote()
    send(post, 20, 10)
    assert HeardLater.objects.count() == 5
    assert not LateState.objects.exists()


def test_all_of_it_comes_out_again(history, site) -> None:
    assert differing(site, rebuild(site)) == []
    assert "All kept states are the same" in told()


def test_without_the_notes_of_what_was_heard_it_would_not(history, site) -> None:
    HeardLater.objects.all().delete()
    assert differing(site, rebuild(site)) != []


def test_as_of_an_earlier_moment(champion, source, post, site) -> None:
    send(post, 0, 10)
    say(source, "e1")
    drain_all()
    moment = now()
    then = {row.key: bytes(row.state) for row in KeyState.objects.all()}
    send(post, 10, 10)
    assert rebuild(site, moment).states == then


def test_a_damaged_state_is_named_and_mended(history, site) -> None:
    broken = KeyState.objects.filter(key__startswith="card:").first()
    KeyState.objects.filter(pk=broken.pk).update(state=bytes(broken.state)[:-1] + b"\x07")
    with pytest.raises(CommandError, match=f"Not as kept: 1 state: card {broken.pk}"):
        told()
    assert "1 differed" in told(write=True)
    assert "All kept states are the same" in told()


def test_what_is_written_goes_on_as_if_nothing_had_been(history, site, post) -> None:
    told(write=True)
    send(post, 30, 6)
    assert differing(site, rebuild(site)) == []


def test_another_site_has_nothing_of_it(history) -> None:
    other = Site.objects.create(slug="south", name="South")
    assert rebuild(other).states == {}
    assert labels.FraudLabel.objects.exists()
