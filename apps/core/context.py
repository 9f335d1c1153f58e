"""What every page's shell needs: the rail of places this role may open, and the demo flag."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

# What the top bar says on every page: a sentence and where it leads, or None.
Notice = Callable[[Any], tuple[str, str] | None]
_notices: list[Notice] = []
PLACES = (
    ("radiology:worklist", "Worklist", "film", "worklist", "g w", {"radiologist"}),
    ("radiology:upload", "Send films", "upload", "upload", "g u", {"radiologist"}),
    ("radiology:communications", "Critical", "alert", "communications", "g t", {"radiologist"}),
    ("radiology:deliveries", "Deliveries", "link", "deliveries", "g p", {"radiologist", "operator"}),
    ("radiology:changes", "Changes", "refresh", "changes", "g c", {"radiologist", "operator"}),
    ("radiology:discrepancies", "Discrepancies", "compare", "discrepancies", "g d", {"radiologist"}),
    ("radiology:quality", "Quality", "chart", "quality", "g q", {"radiologist", "ml_admin"}),
    ("fraud:queue", "Alerts", "card", "alerts", "g a", {"fraud_analyst"}),
    ("fraud:capacity", "Capacity", "adjust", "capacity", "g b", {"fraud_analyst", "operator"}),
    ("fraud:cases", "Cases", "table", "cases", "g c", {"fraud_analyst"}),
    ("fraud:contests", "Contests", "info", "contests", "g o", {"fraud_analyst"}),
    ("fraud:watch", "Overview", "chart", "watch", "g v", {"fraud_analyst"}),
    ("fraud:rules", "Rules", "filter", "rules", "g r", {"fraud_analyst", "operator"}),
    ("modelops:index", "Models", "model", "models", "g m", {"ml_admin"}),
    ("audit:log", "Audit", "audit", "audit", "g l", {"auditor"}),
    ("status", "Status", "status", "status", "g s", {"operator", "ml_admin", "auditor"}),
    ("admin:index", "Admin", "user", "admin", "g k", {"operator", "ml_admin"}),
)


def register_notice(ask: Notice) -> None:
    """`ask(user)` is called for every page of somebody signed in: it must be cheap."""
    _notices.append(ask)


def shell(request: HttpRequest) -> dict[str, Any]:
    role = getattr(getattr(request, "user", None), "role", None)
    nav = []
    for name, label, icon, key, shortcut, roles in PLACES:
        if role in roles:
            try:
                url = reverse(name)
            except NoReverseMatch:
                continue
            nav.append({"url": url, "label": label, "icon": icon, "active_key": key, "shortcut": shortcut})
    said = [ask(request.user) for ask in _notices] if role else []
    shown = {"nav": nav, "demo": settings.LYNCEUS_DEMO, "notices": list(filter(None, said))}
    if settings.LYNCEUS_DEMO and role is None:
        shown["demo_accounts"] = _demo_accounts()
    return shown


def _demo_accounts() -> list[dict[str, str]]:
    """What the demo's sign-in page offers: its own log-ins, from the file that says it is ready."""
    try:
        accounts = json.loads(Path(settings.LYNCEUS_DEMO_GATE).read_text())["accounts"]
    except (OSError, ValueError, KeyError):
        return []
    labels = {"radiologist": "Radiologist", "analyst": "Fraud analyst", "mladmin": "ML administrator"}
    return [{"label": label, **accounts[name]} for name, label in labels.items() if name in accounts]
