"""docs/api.md against the URLconf, the OpenAPI document and the error codes in the source, both ways."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.test import Client

from config.api import api
from tests.doors import rows_of
from tests.test_doors import DOORS, ROWS

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs/api.md").read_text()
FOR_PROGRAMS = ("/api/", "/dicom-web/", "/livez", "/readyz", "/status/", "/metrics")
PARAMETER = re.compile(r"<(?:[a-z]+:)?([a-z_]+)>")
RAISED_BY = [
    "config/api.py",
    "apps/accounts/auth.py",
    "apps/accounts/middleware.py",
    "apps/core/encryption.py",
    "apps/core/views.py",
    "apps/core/errors.py",
    "apps/core/signatures.py",
    "apps/fraud/api/api.py",
    "apps/fraud/api/disposition_api.py",
    "apps/fraud/api/doors.py",
    "apps/fraud/watch/events.py",
    "apps/fraud/api/watch_api.py",
    "apps/radiology/common/store.py",
    "apps/fraud/settle/services/contests.py",
    "apps/fraud/decide/services/ingest.py",
    "apps/fraud/serving/services/labels.py",
    "apps/fraud/decide/services/pressure.py",
    "apps/fraud/decide/services/together.py",
    "apps/fraud/wire/validation.py",
    "apps/radiology/api/accept.py",
    "apps/radiology/api/api.py",
    "apps/radiology/common/decoding.py",
    "apps/radiology/api/dicomweb.py",
    "apps/radiology/api/matching.py",
    "apps/radiology/api/multipart.py",
    "apps/radiology/api/pictures.py",
]


def documented(page: str) -> set[str]:
    return set(re.findall(r"^### `([A-Z]+ /[^`]*)`$", page, re.M))


def existing() -> set[str]:
    """Each method and path of the URLconf that is for programs, as the permission table knows it."""
    return {
        method + " " + PARAMETER.sub(r"{\1}", door)
        for door in DOORS
        if door.startswith(FOR_PROGRAMS)
        for row in rows_of(door, ROWS)
        for method in row.methods
    }


def test_every_endpoint_is_documented_and_every_documented_one_exists() -> None:
    assert documented(PAGE) == existing()


def test_the_openapi_document_is_part_of_it() -> None:
    described = {
        f"{method.upper()} {path}"
        for path, operations in api.get_openapi_schema()["paths"].items()
        for method in operations
    }
    assert described
    assert described <= documented(PAGE)


def test_the_statuses_openapi_promises_are_on_the_page() -> None:
    for path, operations in api.get_openapi_schema()["paths"].items():
        for method, operation in operations.items():
            section = PAGE.split(f"### `{method.upper()} {path}`\n")[1].split("\n### ")[0]
            missing = {str(status) for status in operation["responses"]} - set(
                re.findall(r"`(\d{3})`", section)
            )
            assert missing == set(), path


def test_an_undocumented_endpoint_would_be_noticed() -> None:
    assert documented(PAGE.replace("### `GET /livez`", "")) != existing()
    assert documented(PAGE + "\n### `GET /api/v1/nowhere`\n") != existing()


def codes_raised() -> set[str]:
    call = re.compile(r'(?:LynceusError|_refusal|_error)\(\s*(?:request, )?"([a-z_]+)"')
    return {code for name in RAISED_BY for code in call.findall((ROOT / name).read_text())}


def test_every_code_is_listed_and_every_listed_code_is_raised() -> None:
    listed = set(re.findall(r"^\| `([a-z_]+)` \| \d{3} \|", PAGE, re.M))
    raised = codes_raised() | {"unsupported_media_type"}  # raised through a function of one argument
    assert listed == raised


def test_every_refusal_of_an_instance_is_listed() -> None:
    refused = re.compile(r'(?:DicomRefused|refuse)\(\s*"([a-z_]+)"')
    files = [*(ROOT / "ml/radiology").glob("*.py"), *(ROOT / "apps/radiology").rglob("*.py")]
    raised = {code for file in files for code in refused.findall(file.read_text())}
    assert raised
    last = PAGE.split("In a STOW answer")[1]
    assert {code for code in raised if f"`{code}`" not in last} == set()


PROBLEMS = [
    ("get", "/api/v1/studies/1.2", 401, "unauthenticated"),
    ("get", "/api/v1/decisions/x", 401, "unauthenticated"),
    ("post", "/api/v1/transactions", 401, "unknown_source"),
    ("post", "/dicom-web/studies", 401, "unauthenticated"),
    ("get", "/api/v1/nowhere", 404, "not_found"),
]


@pytest.mark.django_db
@pytest.mark.parametrize(("method", "path", "status", "code"), PROBLEMS)
def test_an_error_is_a_problem_document(
    client: Client, method: str, path: str, status: int, code: str
) -> None:
    answer = getattr(client, method)(path, headers={"x-request-id": "abcdefgh"})
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
    body = answer.json()
    assert (body["type"], body["status"], body["code"]) == ("about:blank", status, code)
    assert body["title"] == body["detail"] == body["message"]
    assert answer["X-Request-Id"] == "abcdefgh"


def test_the_pages_to_read_the_api_load_nothing_from_elsewhere(client: Client, db: None) -> None:
    page = client.get("/api/v1/docs").content.decode()
    assert "https://" not in page
    assert "/static/ninja/swagger-ui-bundle.js" in page
