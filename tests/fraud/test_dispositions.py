"""What analysts say of alerts: settled, undone, and labels once it can no longer be."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, transaction
from django.test import Client

from apps.accounts.models import Site, User
from apps.audit.models import AuditEvent
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.fraud.lifecycle.services import frozen
from apps.fraud.lifecycle.services.frozen import decided_frame
from apps.fraud.lifecycle.services.make_labels import make_labels, ring_labels_due
from apps.fraud.models import (
    LABELLED,
    Alert,
    AlertStatus,
    Disposition,
    FraudLabel,
    FraudType,
    Ground,
    LabelDue,
    ListEntry,
    UnheardLabel,
    Verdict,
    WorkItem,
)
from apps.fraud.settle.services import dispositions
from apps.fraud.settle.services.acts import release
from apps.fraud.settle.services.dispositions import Said, dispose, dispose_again, dispose_many, preview, undo
from apps.fraud.work.services.gather import gather_alerts
from apps.fraud.work.services.work import take_item
from ml.fraud.state import TerminalState
from tests.fraud.conftest import drain_all, state_of

pytestmark = pytest.mark.decision
LARGE = 600_000
FRAUD = Said(Verdict.FRAUD, Ground.HOLDER_DENIES, FraudType.STOLEN)
LEGITIMATE = Said(Verdict.LEGITIMATE, Ground.HOLDER_CONFIRMS)
CANNOT_TELL = Said(Verdict.CANNOT_TELL, Ground.NOT_REACHED)
DUPLICATE = Said(Verdict.DUPLICATE, Ground.SAME_PAYMENT)
FIELDS = {
    "verdict": "fraud",
    "type": "stolen",
    "reason_fraud": "holder_denies",
    "note": "",
    "block_days": "30",
}


def settle(found: list[Alert], said: Said, by: User) -> Disposition:
    item = found[0].item
    assert item is not None
    return dispose(take_item(item, by), [alert.pk for alert in found], said, by)


def label_all() -> None:
    """As if the time to undo had passed."""
    LabelDue.objects.update(due_at=now())
    make_labels()


def said_of(found: list[Alert]) -> list[tuple[bool, str]]:
    paid = [alert.decision.transaction_id for alert in found]
    return list(FraudLabel.objects.filter(transaction__in=paid).order_by("pk").values_list("fraud", "type"))


def refused(code: str) -> Any:
    return pytest.raises(LynceusError, check=lambda error: error.code == code)


@pytest.fixture
def analyst(client: Client, author) -> Client:
    client.force_login(author)
    return client


def test_it_works(alerts, analyst, author) -> None:
    """Settled at the page's door; a label ten minutes later, and the terminal's state hears of it."""
    found = alerts(LARGE, LARGE + 100)
    page = f"/fraud/items/{found[0].item_id}/settle/"
    answer = analyst.post(page, {**FIELDS, "alert": [alert.pk for alert in found]})
    assert answer.status_code == 302
    made = Disposition.objects.get()
    assert (made.verdict, made.type, made.reason, made.by) == ("fraud", "stolen", "holder_denies", author)
    assert set(made.alerts.values_list("status", flat=True)) == {AlertStatus.CLOSED}
    assert WorkItem.objects.get().closed_at is not None
    assert (make_labels(), FraudLabel.objects.count(), ring_labels_due()) == (0, 0, 0)
    LabelDue.objects.update(due_at=now())
    assert (ring_labels_due(), make_labels()) == (1, 1)
    labels = FraudLabel.objects.order_by("pk")
    assert [(one.source, one.fraud, one.type, one.known_at) for one in labels] == [
        ("analyst", True, "stolen", made.at)
    ] * 2
    assert UnheardLabel.objects.count() == 2
    drain_all()
    assert TerminalState.from_bytes(bytes(state_of("terminal:t1").state)).bad == 2
    assert AuditEvent.objects.filter(action="alerts.disposed", detail__count=2).exists()


def test_what_was_not_on_the_page_stays_open(alerts, analyst) -> None:
    seen, unseen = alerts(LARGE, LARGE + 100)
    analyst.post(f"/fraud/items/{seen.item_id}/settle/", {**FIELDS, "alert": [seen.pk]})
    unseen.refresh_from_db()
    assert unseen.status == AlertStatus.OPEN
    assert unseen.item.closed_at is None


@pytest.mark.parametrize("said", [CANNOT_TELL, DUPLICATE], ids=["cannot tell", "duplicate"])
def test_what_says_neither_never_becomes_a_label(alerts, author, said, monkeypatch) -> None:
    settle(alerts(LARGE), said, author)
    alerts(LARGE, card="unreviewed")
    label_all()
    assert not FraudLabel.objects.exists()
    monkeypatch.setitem(LABELLED, said.verdict, False)  # the guard is this table: it alone keeps it out
    settle(alerts(LARGE, card="another"), said, author)
    label_all()
    assert FraudLabel.objects.count() == 1


def test_it_is_undone_in_time_with_all_that_was_done(alerts, analyst, author) -> None:
    [found] = alerts(LARGE)
    made = settle([found], Said(Verdict.FRAUD, Ground.PATTERN, FraudType.OTHER, block=True), author)
    assert ListEntry.objects.filter(ended_at=None).count() == 1
    assert analyst.post(f"/fraud/dispositions/{made.batch}/undo/").status_code == 302
    gather_alerts()
    found.refresh_from_db()
    assert (found.status, found.item.closed_at) == (AlertStatus.OPEN, None)
    assert found.item != made.item
    assert not ListEntry.objects.filter(ended_at=None).exists()
    label_all()
    assert not FraudLabel.objects.exists()
    assert analyst.post(f"/fraud/dispositions/{made.batch}/undo/").status_code == 409
    settle([found], LEGITIMATE, author)  # and it is settled like any other


def test_with_a_label_at_once_there_would_be_nothing_to_undo(alerts, author, monkeypatch) -> None:
    monkeypatch.setattr(dispositions, "UNDO", timedelta(0))
    found = alerts(LARGE)
    made = settle(found, FRAUD, author)
    make_labels()
    with refused("too_late"):
        undo(made.batch, author)
    assert said_of(found) == [(True, "stolen")]


def test_what_became_labels_this_very_moment_is_not_undone(alerts, author) -> None:
    found = alerts(LARGE)
    made = settle(found, FRAUD, author)
    label_all()  # its time has not passed by the clock of who asks
    with refused("too_late"):
        undo(made.batch, author)
    found[0].refresh_from_db()
    assert (found[0].status, made.stands) == (AlertStatus.CLOSED, True)


def test_a_changed_mind_appends_and_the_newest_counts(alerts, author, second, site) -> None:
    """What models are trained on agrees."""
    found = alerts(LARGE)
    made = settle(found, FRAUD, author)
    label_all()
    for said, counts in ((LEGITIMATE, 0), (FRAUD, 1)):
        made = dispose_again(made, said, second)
        label_all()
        assert decided_frame(site, timedelta(days=1))["fraud"].tolist() == [counts]
    assert said_of(found) == [(True, "stolen"), (False, ""), (True, "stolen")]


def test_what_became_a_label_cannot_be_unsaid(alerts, author) -> None:
    found = alerts(LARGE)
    made = settle(found, FRAUD, author)
    label_all()
    with refused("label_stands"):
        dispose_again(made, CANNOT_TELL, author)


def test_a_mind_changed_in_time_makes_one_label(alerts, analyst, author) -> None:
    found = alerts(LARGE)
    made = settle(found, FRAUD, author)
    fields = {"verdict": "legitimate", "reason_legitimate": "travel", "block_days": "30"}
    answer = analyst.post(f"/fraud/dispositions/{made.public_id}/again/", fields)
    assert answer.status_code == 302
    label_all()
    assert said_of(found) == [(False, "")]
    assert not Disposition.objects.get(pk=made.pk).stands
    page = analyst.post(f"/fraud/dispositions/{made.public_id}/again/", fields)
    assert page.status_code == 409


def test_a_bulk_is_previewed_settled_and_undone_as_one(alerts, author, second) -> None:
    for card in ("c1", "c2", "c3"):
        alerts(LARGE, LARGE + 100, card=card)
    items = list(WorkItem.objects.order_by("pk"))
    effect = preview(items, author)
    assert (effect.items, effect.cards, effect.alerts, effect.busy) == (3, 3, 6, 0)
    assert effect.amount_minor == 3 * (2 * LARGE + 100)
    batch = dispose_many(items, DUPLICATE, author, upto=effect.upto, alerts=effect.alerts)
    assert Disposition.objects.filter(batch=batch).count() == 3
    assert not WorkItem.objects.filter(closed_at=None).exists()
    undo(batch, second)
    gather_alerts()
    assert Alert.objects.filter(status=AlertStatus.OPEN, item__closed_at=None).count() == 6


def test_a_bulk_that_is_no_longer_what_was_previewed_does_nothing(alerts, author, second) -> None:
    alerts(LARGE, card="c1")
    alerts(LARGE, LARGE, card="c2")
    items = list(WorkItem.objects.order_by("pk"))
    effect = preview(items, author)
    alerts(LARGE, card="c1")  # came later: it stays open, and is no reason to refuse
    settle(list(items[1].alerts.order_by("pk")[:1]), LEGITIMATE, second)
    with refused("changed_meanwhile"):
        dispose_many(items, FRAUD, author, upto=effect.upto, alerts=effect.alerts)
    take_item(items[0], second)
    assert preview(WorkItem.objects.order_by("pk"), author).busy == 1
    with refused("item_locked"):
        dispose_many(items, FRAUD, author, upto=effect.upto, alerts=effect.alerts - 1)
    assert Disposition.objects.count() == 1
    with refused("too_many_items"):
        dispose_many([], FRAUD, author, upto=0, alerts=0)


def test_silence_says_nothing_of_what_was_held(alerts, author, site, monkeypatch) -> None:
    """Unreviewed, and not told apart: unknown to training. Released, it went through, and silence counts."""
    _, [released], [unsure] = (alerts(LARGE, card=card) for card in ("c1", "c2", "c3"))
    release(released.decision, author)
    release(unsure.decision, author)
    settle([unsure], CANNOT_TELL, author)
    known = decided_frame(site, timedelta(0)).set_index("card_token")["fraud"]
    assert known["c2"] == 0
    assert known[["c1", "c3"]].isna().all()
    monkeypatch.setattr(frozen, "_never_heard_of", lambda chunk: set())
    assert decided_frame(site, timedelta(0))["fraud"].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"verdict": ""}, "This field is required"),
        ({"type": ""}, "Say what type of fraud it is."),
        ({"reason_fraud": ""}, "Say what it rests on."),
        ({"reason_fraud": "other"}, "Say in the note what it rests on."),
        ({"note": "called 4111 1111 1111 1111"}, "The note holds a card number."),
        ({"alert": []}, "This field is required"),
        ({"alert": ["999"]}, "settled already"),
        ({"verdict": "legitimate", "reason_legitimate": "pattern"}, "not one of the available choices"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_kept(alerts, analyst, changes, says) -> None:
    [found] = alerts(LARGE)
    fields = {**FIELDS, "alert": [found.pk], **changes}
    answer = analyst.post(f"/fraud/items/{found.item_id}/settle/", fields)
    assert answer.status_code == 422
    page = answer.content.decode()
    assert says in page
    assert "4111" not in page
    assert not Disposition.objects.exists()


def test_who_does_not_hold_the_card_is_told_so(alerts, analyst, second) -> None:
    [found] = alerts(LARGE)
    take_item(found.item, second)
    answer = analyst.post(f"/fraud/items/{found.item_id}/settle/", {**FIELDS, "alert": [found.pk]})
    assert answer.status_code == 409
    assert "is working on this card" in answer.content.decode()
    assert not Disposition.objects.exists()


def test_settle_and_next_goes_on_with_the_next_card(alerts, analyst) -> None:
    [first], [then] = alerts(LARGE + 100), alerts(LARGE, card="card-0002")
    fields = {**FIELDS, "alert": [first.pk], "do": "next"}
    answer = analyst.post(f"/fraud/items/{first.item_id}/settle/", fields)
    assert answer["Location"] == f"/fraud/decisions/{then.decision.public_id}/"
    fields["alert"] = [then.pk]
    answer = analyst.post(f"/fraud/items/{then.item_id}/settle/", fields)
    assert answer["Location"] == "/fraud/"


def test_another_sites_cannot_be_settled_or_undone(alerts, author) -> None:
    found = alerts(LARGE)
    made = settle(found, FRAUD, author)
    elsewhere = Site.objects.create(slug="south", name="South")
    stranger = Client()
    stranger.force_login(User.objects.create_user("x@example.org", site=elsewhere, role="fraud_analyst"))
    assert stranger.post(f"/fraud/dispositions/{made.batch}/undo/").status_code == 404
    assert made.stands


def test_the_database_refuses_to_change_what_was_said(alerts, author) -> None:
    made = settle(alerts(LARGE), FRAUD, author)
    with pytest.raises(DatabaseError), transaction.atomic():
        Disposition.objects.filter(pk=made.pk).update(verdict="legitimate", type="")
