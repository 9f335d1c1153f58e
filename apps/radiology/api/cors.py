"""Viewers in a browser that come from another origin (the Fetch standard's CORS protocol), DICOMweb alone.

They bring a bearer token: no cookie is let through, so that no other site's page can use a person's session.
"""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

GetResponse = Callable[[HttpRequest], HttpResponse]
BELOW = "/dicom-web/"
METHODS = "GET, POST, OPTIONS"
HEADERS = "accept, authorization, content-type, x-request-id"
EXPOSED = "Content-Type, Warning, Retry-After, X-Request-Id"
REMEMBERED_S = "600"


def dicomweb_origins(get_response: GetResponse) -> GetResponse:
    """Answers for the origins of LYNCEUS_DICOMWEB_ORIGINS; for all others nothing changes."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if not request.path.startswith(BELOW) or not settings.LYNCEUS_DICOMWEB_ORIGINS:
            return get_response(request)
        origin = request.headers.get("Origin", "")
        welcome = origin in settings.LYNCEUS_DICOMWEB_ORIGINS
        asks_before = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        response = HttpResponse(status=204) if welcome and asks_before else get_response(request)
        patch_vary_headers(response, ["Origin"])
        if welcome:
            response["Access-Control-Allow-Origin"] = origin
            response["Access-Control-Expose-Headers"] = EXPOSED
            if asks_before:
                response["Access-Control-Allow-Methods"] = METHODS
                response["Access-Control-Allow-Headers"] = HEADERS
                response["Access-Control-Max-Age"] = REMEMBERED_S
        return response

    return middleware
