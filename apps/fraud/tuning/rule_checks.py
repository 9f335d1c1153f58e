"""Whether a condition can be said, asked while it is being written. By POST: it may hold what no log may."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_POST

from apps.accounts.auth import role_required
from apps.accounts.models import Role
from apps.fraud.common.cardguard import holds_card_number
from apps.fraud.common.text_forms import NO_CARD_NUMBER
from apps.fraud.rules.expressions import Fault, compiled
from apps.fraud.rules.facts import FIELDS, KINDS
from ml.fraud.features import FEATURE_NAMES


def completions() -> list[dict[str, str]]:
    """What may stand in a condition: name, type and meaning of each field; what an event brings first."""
    return [
        {
            "name": name,
            "kind": field.kind.value,
            "words": field.words,
            "of": "seen by the model" if name in FEATURE_NAMES else "of the payment",
        }
        for name, field in FIELDS.items()
    ]


@require_POST
@role_required(Role.FRAUD_ANALYST)
def check(request: HttpRequest) -> HttpResponse:
    """`at` and `near`: where the fault lies, by character from 0, as the form says it from 1."""
    answer = JsonResponse(_found(request.POST.get("when", "").replace("\r\n", "\n")))
    answer["Cache-Control"] = "no-store"
    return answer


def _found(text: str) -> dict[str, Any]:
    if holds_card_number(text):
        return {"ok": False, "message": NO_CARD_NUMBER, "at": None, "near": ""}
    try:
        compiled(text, KINDS)
    except Fault as fault:
        return {"ok": False, "message": fault.message, "at": fault.at, "near": fault.near}
    return {"ok": True, "message": "", "at": None, "near": ""}
