"""What a site decided becomes a dataset in which a decline that nobody confirmed is unknown."""

from __future__ import annotations

import io
from datetime import timedelta

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from apps.core.clock import now
from apps.fraud.lifecycle.services import frozen
from apps.fraud.models import Decision, PassThrough, PassThroughPolicy, Source
from apps.modelops.common.places import dataset_folder
from apps.modelops.models import DatasetSnapshot
from ml.fraud.importing import load_frozen
from tests.fraud.conftest import drain_all, event

pytestmark = pytest.mark.decision
OLD, NEW = timedelta(days=20), timedelta(days=1)


@pytest.fixture(autouse=True)
def elsewhere(settings, tmp_path) -> None:
    settings.VAR_DIR = tmp_path


@pytest.fixture
def decided(post, site):
    """Payments by name and outcome; rules alone decide here, so outcomes are set after."""

    def make(**outcomes: str) -> None:
        for name in outcomes:
            age = NEW if name.startswith("new") else OLD
            post(event(name, card_token=name, occurred_at=(now() - age).isoformat()))
        drain_all()
        for name, outcome in outcomes.items():
            Decision.objects.filter(transaction__event_id=name).update(outcome=outcome)

    return make


def freeze(site, name: str = "x"):
    out = io.StringIO()
    call_command("freeze_decided", "--name", name, "--mature-days", "10", stdout=out)
    return load_frozen(dataset_folder(site, "fraud", name))[0].set_index("event_id"), out.getvalue()


def label(post, event_id: str, fraud: bool, source: str = "cardholder") -> None:
    said = {"event_id": event_id, "fraud": fraud, "source": source}
    assert post([said], door="labels").status_code in (200, 202)


def test_it_works(decided, post, site) -> None:
    decided(paid="approve", newer="approve", lost="decline", bad="decline", good="decline", seen="review")
    label(post, "bad", True)
    label(post, "good", False)
    frame, said = freeze(site)
    fraud = frame["fraud"].astype(object).where(frame["fraud"].notna(), None).to_dict()
    assert fraud == {"paid": 0, "newer": None, "lost": None, "bad": 1, "good": 0, "seen": 0}
    assert frame.loc["good", "label_source"] == "cardholder"
    assert "1 declined without confirmation" in said
    summary = DatasetSnapshot.objects.get().summary
    assert (summary["n_censored"], summary["n_passed_through"]) == (1, 0)


def test_without_that_look_it_would_mature_into_a_good_payment(decided, site, monkeypatch) -> None:
    """Two guards: who makes the rows asks what was done, who types them what was decided."""
    decided(lost="decline")
    monkeypatch.setattr(frozen, "action_for", lambda *_: "approve")
    assert freeze(site, "one")[0]["fraud"].isna().all()
    monkeypatch.setattr("ml.fraud.importing.unconfirmed", lambda frame: np.zeros(len(frame), bool))
    frame, _ = freeze(site)
    assert frame.loc["lost", "fraud"] == 0


def test_where_a_review_means_a_decline_it_is_one(decided, site) -> None:
    decided(seen="review")
    Source.objects.update(review_means="decline")
    frame, _ = freeze(site)
    assert frame["fraud"].isna().all()
    assert frame.loc["seen", "outcome"] == "decline"


def test_what_was_let_through_matures_and_says_how_likely_it_was(decided, site, make_user) -> None:
    decided(paid="approve", through="approve")
    policy = PassThroughPolicy.objects.create(
        site=site, number=1, probability=0.25, daily_cap_minor=9000, note="x", proposed_at=now(),
        proposed_by=make_user("fraud_analyst"),
    )  # fmt: skip
    decision = Decision.objects.get(transaction__event_id="through")
    PassThrough.objects.create(decision=decision, policy=policy, probability=0.25, amount_minor=1250)
    frame, said = freeze(site)
    assert frame["selection_probability"].to_dict() == {"paid": 1.0, "through": 0.25}
    assert frame["fraud"].tolist() == [0, 0]
    assert "1 let through by a draw" in said


def test_nothing_decided_is_said_so(site) -> None:
    with pytest.raises(CommandError, match="Nothing was decided"):
        call_command("freeze_decided", "--name", "x")
