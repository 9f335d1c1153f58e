"""A case: alerts, evidence, a timeline; one asks for it to be closed and another closes it."""

from __future__ import annotations

import io

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from pypdf import PdfReader

from apps.core.clock import now
from apps.fraud.models import Case, CaseEntry
from apps.fraud.settle.services import cases

pytestmark = pytest.mark.decision
LARGE = 600_000


@pytest.fixture
def analyst(client: Client, author) -> Client:
    client.force_login(author)
    return client


@pytest.fixture
def colleague(second) -> Client:
    client = Client()
    client.force_login(second)
    return client


@pytest.fixture
def page(alerts, analyst) -> str:
    """A case opened from an alert's page."""
    [found] = alerts(LARGE)
    answer = analyst.post(f"/fraud/decisions/{found.decision.public_id}/case/", {"title": "A ring at m1"})
    return str(answer["Location"])


def test_it_works(page, analyst, colleague) -> None:
    case = Case.objects.get()
    assert (case.number, case.alerts.count()) == (1, 1)
    analyst.post(page + "evidence/", {"text": "Same device.", "link": "https://example.org/report/7"})
    analyst.post(page + "evidence/", {"text": "The merchant was asked."})
    analyst.post(page + "closing/", {"conclusion": "Three stolen cards."})
    alone = analyst.post(page + "close/", {"do": "close"})
    assert alone.status_code == 403
    assert colleague.post(page + "close/", {"do": "close", "why": "Agreed."}).status_code == 302
    case.refresh_from_db()
    assert case.state == "closed"
    kinds = list(CaseEntry.objects.order_by("pk").values_list("kind", flat=True))
    assert kinds == ["opened", "alert", "link", "note", "closing", "closed"]
    shown = analyst.get(page).content.decode()
    for text in ("Same device.", "https://example.org/report/7", "Three stolen cards.", "Agreed."):
        assert text in shown
    assert analyst.post(page + "evidence/", {"text": "More."}).status_code == 422
    assert "A ring at m1" in analyst.get("/fraud/cases/?shown=closed").content.decode()


def test_without_the_second_person_one_would_close_it_alone(page, analyst, monkeypatch) -> None:
    """Two guards: the service, and behind it the database."""
    analyst.post(page + "closing/", {"conclusion": "Done."})
    monkeypatch.setattr(cases, "closed_alone", lambda case, by: False)
    with pytest.raises(IntegrityError), transaction.atomic():
        cases.settle_closing(Case.objects.get(), Case.objects.get().closing_by, close=True)


def test_who_is_asked_may_leave_it_open(page, analyst, colleague) -> None:
    analyst.post(page + "closing/", {"conclusion": "Done."})
    colleague.post(page + "close/", {"do": "open", "why": "The merchant has not answered."})
    case = Case.objects.get()
    assert (case.state, case.closing_by) == ("open", None)
    assert "has not answered" in analyst.get(page).content.decode()
    assert colleague.post(page + "close/", {"do": "close"}).status_code == 409


def test_an_alert_joins_an_open_case_once(alerts, page, analyst) -> None:
    [other] = alerts(LARGE, card="card-0002")
    case = Case.objects.get()
    for _ in range(2):
        analyst.post(f"/fraud/decisions/{other.decision.public_id}/case/", {"case": case.public_id})
    assert case.alerts.count() == 2
    assert CaseEntry.objects.filter(kind="alert").count() == 2


def test_the_pdf_says_what_the_page_says(page, analyst) -> None:
    analyst.post(page + "evidence/", {"text": "Same device.", "link": "https://example.org/report/7"})
    answer = analyst.get(page + "case.pdf")
    assert answer["Content-Type"] == "application/pdf"
    reader = PdfReader(io.BytesIO(answer.content))
    text = " ".join(" ".join(one.extract_text() for one in reader.pages).split())
    for said in (
        "Case 1: A ring at m1",
        "6,000.00 EUR",
        "Same device.",
        "https://example.org/report/7",
        "not settled",
    ):
        assert said in text
    assert "card-0001" not in text
    assert reader.trailer["/Root"]["/MarkInfo"]["/Marked"]


@pytest.mark.parametrize(
    ("door", "fields"),
    [
        ("evidence/", {"text": "4111 1111 1111 1111"}),
        ("evidence/", {"text": "x", "link": "javascript:alert(1)"}),
        ("closing/", {"conclusion": ""}),
    ],
)
def test_what_does_not_belong_in_a_case_is_refused(page, analyst, door, fields) -> None:
    answer = analyst.post(page + door, fields)
    assert answer.status_code == 422
    assert "4111" not in answer.content.decode()
    assert Case.objects.get().entries.count() == 2


def test_numbers_are_a_sites_own(page, analyst, author) -> None:
    analyst.post("/fraud/cases/", {"title": "Another"})
    assert list(Case.objects.order_by("pk").values_list("number", flat=True)) == [1, 2]
    assert Case.objects.filter(opened_at__lte=now(), site=author.site).count() == 2
