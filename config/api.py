"""The JSON API: one router per app, errors as RFC 9457 problem details."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError

from apps.core.errors import LynceusError, problem_response
from apps.fraud.api.alert_api import router as alert_router
from apps.fraud.api.api import router as fraud_router
from apps.fraud.api.disposition_api import router as disposition_router
from apps.fraud.api.rule_api import router as rule_router
from apps.fraud.api.watch_api import router as watch_router
from apps.fraud.api.work_api import router as work_router
from apps.radiology.api.api import router as radiology_router

api = NinjaAPI(
    title="Lynceus",
    version="1",
    description="Chest radiographs and card transactions. Research use. Not a medical device.",
    urls_namespace="api",
    docs_decorator=require_GET,
)


api.add_router("", fraud_router)
api.add_router("", alert_router)
api.add_router("", work_router)
api.add_router("", disposition_router)
api.add_router("", rule_router)
api.add_router("", watch_router)
api.add_router("", radiology_router)


@api.exception_handler(LynceusError)
def _known_error(request: HttpRequest, error: LynceusError) -> HttpResponse:
    return problem_response(error)


@api.exception_handler(AuthenticationError)
def _unauthenticated(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
    return problem_response(LynceusError("unauthenticated", "Sign in or send a bearer token.", status=401))


@api.exception_handler(ValidationError)
def _invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    errors = [{"field": ".".join(str(p) for p in e["loc"]), "code": e["type"]} for e in error.errors]
    return problem_response(
        LynceusError("invalid_request", "The request is malformed.", status=422, extra={"errors": errors})
    )


@api.exception_handler(HttpError)
def _http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
    return problem_response(LynceusError("bad_request", str(error), status=error.status_code))
