"""The one error base. `code` is stable and for programs, `message` is for the person reading it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.http import HttpResponse


class LynceusError(Exception):
    """Something a caller can understand: what is wrong, and whether trying again can help.

    `status` is the HTTP status. `extra` joins the problem document as further members. Neither
    message nor extra may hold patient or card data.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        status: int = 400,
        retryable: bool = False,
        retry_after_s: int | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.retryable = retryable
        self.retry_after_s = retry_after_s
        self.extra = dict(extra or {})


PROBLEM = "application/problem+json"


def problem_body(error: LynceusError) -> bytes:
    """The error as RFC 9457 problem details."""
    body = {
        "type": "about:blank",
        "title": error.message,
        "status": error.status,
        "detail": error.message,
        "code": error.code,
        "message": error.message,
        "retryable": error.retryable,
        **error.extra,
    }
    return json.dumps(body).encode()


def problem_response(error: LynceusError) -> HttpResponse:
    response = HttpResponse(problem_body(error), status=error.status, content_type=PROBLEM)
    if error.retry_after_s is not None:
        response["Retry-After"] = str(error.retry_after_s)
    return response


def internal_error() -> LynceusError:
    """What a program hears of an error of ours."""
    return LynceusError("internal_error", "Something went wrong on our side. It has been logged.", status=500)


def wants_json(path: str, accept: str) -> bool:
    """Whether the caller is a program: an API or DICOMweb path, or one that asks for JSON only."""
    return path.startswith(("/api/", "/dicom-web/")) or ("json" in accept and "text/html" not in accept)
