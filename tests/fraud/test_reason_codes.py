"""Only fraud reason codes make fraud labels; the rest is kept, and labels nothing."""

from __future__ import annotations

from typing import Any

import pytest

from apps.fraud.models import Decision, FraudLabel, Notice, NoticeKind
from apps.fraud.serving.services import labels
from apps.fraud.wire.reason_codes import CHARGEBACKS, meaning_of
from apps.fraud.wire.schemas import LabelIn
from tests.fraud.conftest import drain_all, event


def label(source: str = "chargeback", **changes: Any) -> dict[str, Any]:
    return {"event_id": "e1", "fraud": True, "source": source, **changes}


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (label(scheme="visa", raw_code="10.4"), "card_not_present"),
        (label(scheme="visa", raw_code="10.1"), "counterfeit"),
        (label(scheme="VISA", raw_code="10.4", type="stolen"), "stolen"),
        (label(raw_code="4837"), "other"),
        (label(scheme="mc", raw_code="4849"), "merchant_misrepresentation"),
        (label(scheme="amex", raw_code="F29"), "card_not_present"),
        (label(scheme="discover", raw_code="ua05"), "counterfeit"),
        (label(scheme="visa", raw_code="13.1"), NoticeKind.DISPUTE),
        (label(scheme="visa", raw_code="12.5"), NoticeKind.PROCESSING),
        (label(scheme="visa", raw_code="11.3"), NoticeKind.AUTHORIZATION),
        (label(scheme="mastercard", raw_code="4853"), NoticeKind.DISPUTE),
        (label(scheme="amex", raw_code="C08"), NoticeKind.DISPUTE),
        (label(scheme="discover", raw_code="AA"), NoticeKind.DISPUTE),
        (label(scheme="visa", raw_code="4837"), NoticeKind.UNMAPPED),
        (label(), NoticeKind.UNMAPPED),
        (label(scheme="visa", raw_code="10.4", fraud=False), NoticeKind.NOT_UPHELD),
        (label("tc40", raw_code="1"), "stolen"),
        (label("tc40", raw_code="d"), "payer_manipulation"),
        (label("tc40", raw_code="Z"), ""),
        (label("safe", raw_code="6"), "card_not_present"),
        (label("safe", raw_code="54"), "first_party"),
        (label("issuer", raw_code="13.1", type="lost"), "lost"),
        (label("issuer", fraud=False), ""),
    ],
)
def test_what_a_code_means(given, meant) -> None:
    assert meaning_of(LabelIn.model_validate(given)) == meant


def test_no_code_means_two_things() -> None:
    codes = [code for table in CHARGEBACKS.values() for code in table]
    assert len(codes) == len(set(codes))


DISPUTES = [label(scheme="visa", raw_code="13.1"), label(scheme="visa", raw_code="10.4", fraud=False)]


@pytest.mark.decision
@pytest.mark.parametrize("told", DISPUTES, ids=["about goods", "a won representment"])
def test_what_is_no_verdict_is_kept_and_labels_nothing(post, client, author, told) -> None:
    post(event())
    drain_all()
    assert post(told, door="labels").json() == {"accepted": 1, "duplicates": 0}
    assert post(told, door="labels").json() == {"accepted": 0, "duplicates": 1}
    notice = Notice.objects.get()
    assert (notice.scheme, notice.raw_code) == ("visa", told["raw_code"])
    assert not FraudLabel.objects.exists()
    client.force_login(author)
    page = client.get(f"/fraud/decisions/{Decision.objects.get().public_id}/").content.decode()
    assert notice.get_kind_display() in page.lower() and told["raw_code"] in page


@pytest.mark.decision
@pytest.mark.parametrize("told", DISPUTES, ids=["about goods", "a won representment"])
def test_without_the_table_it_would_be_a_label(post, told, monkeypatch) -> None:
    monkeypatch.setattr(labels, "meaning_of", lambda label: "")
    post(event())
    drain_all()
    post(told, door="labels")
    assert FraudLabel.objects.get().fraud is told["fraud"]


@pytest.mark.decision
def test_a_won_representment_leaves_the_fraud_standing(post) -> None:
    post(event())
    drain_all()
    post([label(raw_code="10.4"), label(raw_code="10.4", fraud=False)], door="labels")
    kept = FraudLabel.objects.get()
    assert (kept.fraud, kept.type, kept.raw_code) == (True, "card_not_present", "10.4")
    assert Notice.objects.get().kind == NoticeKind.NOT_UPHELD
