"""One error, two faces: a problem document for programs, a page for people. Headers on every answer."""

from __future__ import annotations

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory

from apps.core.errors import LynceusError
from apps.core.middleware import problem_details


@pytest.mark.parametrize(
    ("path", "accept", "json"),
    [
        ("/api/v1/x", "*/*", True),
        ("/dicom-web/studies", "*/*", True),
        ("/x", "application/json", True),
        ("/x", "text/html,application/json", False),
    ],
)
@pytest.mark.django_db
def test_a_known_error_is_rendered_for_who_asks(path: str, accept: str, json: bool) -> None:
    error = LynceusError("too_big", "The file is too big.", status=413, retryable=True, retry_after_s=7)
    request = RequestFactory().get(path, headers={"accept": accept})
    answer = problem_details(lambda _: HttpResponse()).process_exception(request, error)
    assert answer is not None
    assert answer.status_code == 413
    assert b"too_big" in answer.content
    assert answer["Content-Type"].startswith("application/problem+json") is json
    if json:
        assert answer["Retry-After"] == "7"


def test_an_unknown_error_is_left_to_django() -> None:
    assert problem_details(lambda _: HttpResponse()).process_exception(HttpRequest(), ValueError()) is None


@pytest.mark.django_db
def test_a_lost_page_says_so_and_carries_the_headers(client: Client) -> None:
    answer = client.get("/nowhere", headers={"x-request-id": "abcdefgh-1"})
    assert answer.status_code == 404
    assert b"not_found" in answer.content
    assert answer["X-Request-Id"] == "abcdefgh-1"
    assert "script-src 'self'" in answer["Content-Security-Policy"]


def test_a_forged_request_id_is_replaced(client: Client) -> None:
    assert len(client.get("/livez", headers={"x-request-id": "bad id\n"})["X-Request-Id"]) == 32
