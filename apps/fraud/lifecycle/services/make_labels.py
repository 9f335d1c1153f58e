"""Dispositions that can no longer be undone become labels, each alert's payment its own."""

from __future__ import annotations

from django.db import transaction

from apps.core.bell import ring
from apps.core.clock import now
from apps.fraud.models import LABELLED, Disposition, FraudLabel, LabelDue, LabelSource, Verdict
from apps.fraud.serving.services.labels import keep_labels, said_of

TASK = "fraud.make_labels"
BATCH = 100


def ring_labels_due() -> int:
    """For the sweeper: ring once if a disposition is due to become labels."""
    if not LabelDue.objects.filter(due_at__lte=now()).exists():
        return 0
    ring(TASK)
    return 1


def make_labels() -> int:
    """All that are due; returns how many dispositions became labels."""
    total = 0
    while found := _make_some():
        total += found
    return total


@transaction.atomic
def _make_some() -> int:
    due = list(
        LabelDue.objects.select_for_update(skip_locked=True, of=("self",))
        .filter(due_at__lte=now())
        .select_related("disposition__site", "disposition__by")
        .order_by("pk")[:BATCH]
    )
    for one in due:
        _label(one.disposition)
    LabelDue.objects.filter(pk__in=[one.pk for one in due]).delete()
    return len(due)


def _label(made: Disposition) -> None:
    """`known_at` is when the analyst said so, `received_at` now: while it could be undone nothing knew."""
    alerts = made.alerts.select_related("decision__transaction__source").order_by("pk")
    paid = [alert.decision.transaction for alert in alerts]
    known = {(pk, fraud) for pk, _, fraud, _ in said_of(paid)}
    rows = [
        FraudLabel(
            transaction=row, fraud=LABELLED[Verdict(made.verdict)], source=LabelSource.ANALYST,
            type=made.type, known_at=made.at, received_at=now(), disposition=made,
        )
        for row in paid
    ]  # fmt: skip
    keep_labels(made.site, rows, known=known, actor=made.by, subject=f"disposition:{made.pk}")
