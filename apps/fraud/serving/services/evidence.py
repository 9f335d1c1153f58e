"""Evidence is kept for a while: the decision itself stays for ever."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from apps.audit.services import record
from apps.fraud.models import Evidence

CHUNK = 5_000


def prune_evidence(*, before: datetime) -> int:
    """Delete the evidence of decisions made before then, some thousands a transaction; returns how many."""
    total = 0
    while True:
        with transaction.atomic():
            old = Evidence.objects.filter(decision__decided_at__lt=before)
            ids = list(old.order_by("pk").values_list("pk", flat=True)[:CHUNK])
            Evidence.objects.filter(pk__in=ids).delete()
            if ids:
                detail = {"count": len(ids), "first_decision": ids[0], "last_decision": ids[-1]}
                record("evidence.pruned", site=None, actor=None, detail=detail)
        total += len(ids)
        if len(ids) < CHUNK:
            return total
