"""Decisions added up by the hour: right, cheap to keep up, and the same however often they are counted."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from apps.accounts.models import Role, Site, User
from apps.core.clock import now
from apps.fraud.lifecycle.services.make_labels import make_labels
from apps.fraud.models import (
    Alert,
    CountedHour,
    CountMark,
    Decision,
    Disposition,
    Evidence,
    FraudLabel,
    FraudType,
    Ground,
    HourlyCount,
    HourlyDrift,
    HourlyLatency,
    LabelDue,
    Verdict,
)
from apps.fraud.serving.services.labels import store_labels
from apps.fraud.settle.services.dispositions import Said, dispose
from apps.fraud.tasks import count_hours
from apps.fraud.watch import drift
from apps.fraud.watch.services import counts
from apps.fraud.wire.schemas import LabelIn
from apps.fraud.wire.services.sources import ensure_source
from apps.fraud.work.services.gather import gather_alerts
from apps.fraud.work.services.work import take_item
from ml.fraud.drift import BINS
from tests.fraud.conftest import drain_all, event

pytestmark = pytest.mark.decision

FRAUD = Said(Verdict.FRAUD, Ground.HOLDER_DENIES, FraudType.STOLEN)
LEGITIMATE = Said(Verdict.LEGITIMATE, Ground.HOLDER_CONFIRMS)
CANNOT_TELL = Said(Verdict.CANNOT_TELL, Ground.NOT_REACHED)
REVIEWED, DECLINED = 300_000, 3_000_000  # minor units at which the built-in rules ask for it


@pytest.fixture
def decided(post) -> None:
    """Ten approved, two reviewed, one declined; of the approved one came late."""
    late = (now() - timedelta(hours=2)).isoformat()
    events = [event(f"a{n}", card_token=f"card-a{n}") for n in range(9)]
    events.append(event("a9", card_token="card-a9", occurred_at=late))
    events += [event(f"r{n}", card_token=f"card-r{n}", amount_minor=REVIEWED) for n in range(2)]
    post([*events, event("d0", card_token="card-d0", amount_minor=DECLINED)])
    drain_all()


def counted() -> dict[str, HourlyCount]:
    return {row.outcome: row for row in HourlyCount.objects.order_by("hour", "outcome", "mode")}


def say(source: Any, event_id: str, *, fraud: bool, by: str = "issuer") -> None:
    if by == "analyst":
        settle(event_id, FRAUD if fraud else LEGITIMATE)
        label_all()
    else:
        label = LabelIn(event_id=event_id, fraud=fraud, source=by)  # type: ignore[arg-type]
        store_labels(source=source, labels=[label], actor=None)


def settle(event_id: str, said: Said) -> Disposition:
    """An analyst's verdict on the payment's alert, which is open."""
    gather_alerts()
    alert = Alert.objects.select_related("item").get(decision__transaction__event_id=event_id)
    person, _ = User.objects.get_or_create(
        email="settles@example.org", defaults={"site": alert.site, "role": Role.FRAUD_ANALYST}
    )
    return dispose(take_item(alert.item, person), [alert.pk], said, person)


def label_all() -> None:
    """As if the time to undo had passed."""
    LabelDue.objects.update(due_at=now())
    make_labels()


def age(hours: int) -> None:
    """As if all that was decided so far had been so many hours ago, and had been counted since."""
    by = timedelta(hours=hours)
    for made in Decision.objects.all():
        Decision.objects.filter(pk=made.pk).update(decided_at=made.decided_at - by)
    Alert.objects.update(created_at=now() - by)


def test_it_works(decided) -> None:
    count_hours()
    found = counted()
    assert {name: row.n for name, row in found.items()} == {"approve": 10, "review": 2, "decline": 1}
    assert found["review"].amount_minor == 2 * REVIEWED
    assert (found["approve"].alerts, found["review"].alerts, found["decline"].alerts) == (0, 2, 1)
    assert (found["approve"].late, found["decline"].late) == (1, 0)
    assert {row.mode for row in found.values()} == {"rules_only"}
    assert sum(HourlyLatency.objects.get().counts.values()) == 13


def test_counting_again_changes_nothing(decided) -> None:
    counts.count_due()
    before = list(HourlyCount.objects.order_by("outcome").values("outcome", "n", "alerts", "amount_minor"))
    assert counts.count_again(now() - timedelta(days=1)) >= 1
    assert counts.count_due() >= 1
    after = list(HourlyCount.objects.order_by("outcome").values("outcome", "n", "alerts", "amount_minor"))
    assert after == before


def test_an_hour_that_goes_on_is_due_again_after_a_while_and_one_that_is_over_is_not(decided) -> None:
    age(5)
    assert counts.count_due() == 6
    *earlier, current = CountedHour.objects.order_by("start")
    assert current.due_at >= now() + timedelta(seconds=counts.AGAIN_S - 5)
    assert [hour.due_at for hour in earlier[:-1]] == [None] * (len(earlier) - 1)
    assert counts.count_due() == 0


def test_what_becomes_known_later_has_its_hour_counted_again(decided, source) -> None:
    age(5)
    counts.count_due()
    say(source, "d0", fraud=False)
    say(source, "r0", fraud=True)
    say(source, "a1", fraud=True)
    assert counts.count_due() == 1
    found = counted()
    assert (found["decline"].goods, found["decline"].good_minor) == (1, DECLINED)
    assert (found["review"].frauds, found["review"].frauds_alerted) == (1, 1)
    assert found["review"].fraud_alerted_minor == REVIEWED
    assert (found["approve"].frauds, found["approve"].frauds_alerted) == (1, 0)


def test_without_the_mark_nobody_would_hear_of_it(decided, source, monkeypatch) -> None:
    age(5)
    counts.count_due()
    say(source, "d0", fraud=False)
    monkeypatch.setattr(counts, "_mark_what_became_known", lambda: None)
    assert counts.count_due() == 0
    assert counted()["decline"].goods == 0


def test_the_mark_stays_behind_what_may_not_be_committed_yet(decided, source) -> None:
    counts.count_due()
    say(source, "d0", fraud=True)
    counts.count_due()
    assert CountMark.objects.get().label_id == 0
    FraudLabel.objects.update(received_at=now() - timedelta(minutes=2))
    counts.count_due()
    assert CountMark.objects.get().label_id == FraudLabel.objects.get().pk


def test_the_last_word_counts_and_the_analysts_own_is_kept_apart(decided, source) -> None:
    say(source, "r0", fraud=True, by="analyst")
    say(source, "r0", fraud=False)
    say(source, "r1", fraud=False, by="analyst")
    say(source, "a1", fraud=False)
    counts.count_due()
    found = counted()
    assert (found["review"].frauds, found["review"].goods) == (0, 2)
    assert (found["review"].disposed_frauds, found["review"].disposed_goods) == (1, 1)
    assert (found["approve"].goods, found["approve"].disposed_goods) == (1, 0)


def test_a_disposition_counts_once_it_can_no_longer_be_undone(decided, source) -> None:
    settle("r0", FRAUD)
    settle("r1", CANNOT_TELL)
    counts.count_due()
    assert (counted()["review"].disposed_frauds, counted()["review"].disposed_goods) == (0, 0)
    label_all()
    counts.count_again(now() - timedelta(hours=1))
    counts.count_due()
    assert (counted()["review"].disposed_frauds, counted()["review"].disposed_goods) == (1, 0)


def test_each_site_has_its_own(decided, source) -> None:
    south = Site.objects.create(slug="south", name="South")
    other = ensure_source(site=south, slug="other", name="Other")
    moved = Decision.objects.get(transaction__event_id="d0").transaction
    type(moved).objects.filter(pk=moved.pk).update(source=other)
    counts.count_due()
    rows = HourlyCount.objects.order_by("n").values_list("site__slug", "outcome", "n")
    assert list(rows) == [("south", "decline", 1), ("north", "review", 2), ("north", "approve", 10)]


def test_an_hour_without_decisions_is_counted_and_empty(decided) -> None:
    age(5)
    counts.count_due()
    assert CountedHour.objects.count() == 6
    assert HourlyCount.objects.values("hour").distinct().count() == 1


def test_little_time_counts_the_newest_hour_first(decided) -> None:
    age(5)
    assert counts.count_due(budget_s=0) == 1
    done = CountedHour.objects.exclude(counted_at=None).get()
    assert done.start == CountedHour.objects.order_by("-start").first().start


def test_where_inputs_lie_is_counted_once_in_the_bins_of_their_version(champion, post) -> None:
    post([event(f"e{n}", card_token=f"card-{n}") for n in range(6)])
    drain_all()
    counts.count_due()
    kept = HourlyDrift.objects.get()
    reference = drift.reference_of(champion.artefact_hash)
    found = np.frombuffer(bytes(kept.counts), "<i4").reshape(-1, BINS)
    assert (kept.n, kept.artefact_hash) == (6, champion.artefact_hash)
    assert found.shape[0] == len(reference.names)
    assert (found.sum(1) == 6).all() and not found[:, -1].any()


def test_a_decision_without_a_score_counts_as_missing(champion, post, unread) -> None:
    unread(event("without", card_token="another"))
    post(event("full"))
    drain_all()
    counts.count_due()
    found = np.frombuffer(bytes(HourlyDrift.objects.get().counts), "<i4").reshape(-1, BINS)
    assert (found[:, -1] == 1).all() and (found.sum(1) == 2).all()


def test_pruned_evidence_leaves_what_was_counted(champion, post, source) -> None:
    post(event("e1"))
    drain_all()
    age(5)
    counts.count_due()
    Evidence.objects.all().delete()
    say(source, "e1", fraud=True)
    counts.count_due()
    assert HourlyDrift.objects.get().n == 1
    assert counted()["approve"].frauds + counted().get("approve").goods == 1


def test_the_command_counts_anew(decided, capsys) -> None:
    counts.count_due()
    HourlyCount.objects.update(n=1)
    call_command("recount_hours", since=f"{now():%Y-%m-%d}")
    assert "Counted" in capsys.readouterr().out
    assert counted()["approve"].n == 10
    with pytest.raises(CommandError, match="--since is a date"):
        call_command("recount_hours", since="yesterday")
