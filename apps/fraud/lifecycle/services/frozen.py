"""What a site decided, with what is known of it by now, as rows to train and measure on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from apps.accounts.models import Site
from apps.core.clock import now
from apps.fraud.common.selectors import action_for
from apps.fraud.models import Act, Action, ActKind, Alert, Decision, FraudLabel, Outcome, Verdict
from apps.fraud.serving.rows import event_of

if TYPE_CHECKING:
    import pandas as pd

CHUNK = 2000
OF_EVENT = (
    "event_id", "type", "card_token", "amount_minor", "currency", "merchant_id", "terminal_id", "mcc",
    "country", "entry_mode", "channel", "device_id", "ip", "latitude", "longitude",
)  # fmt: skip


def decided_frame(
    site: Site, mature: timedelta, tell: Callable[[int, int], None] | None = None
) -> pd.DataFrame:
    """Canonical rows in time order; tell(done, 0) as they are read; amounts in the reporting currency.
    ValueError where nothing was decided.

    The last word on a payment holds. Where nobody spoke it is legitimate once it is `mature`, unless it was
    declined, or held for an analyst who did not let it go: then nobody ever will, and it stays unknown. So
    does what an analyst looked at and could not tell.
    """
    import pandas as pd

    from ml.fraud.importing import canonical

    rows: list[dict[str, Any]] = []
    for row in _rows(site, mature, now()):
        rows.append(row)
        if tell and len(rows) % CHUNK == 0:
            tell(len(rows), 0)
    if not rows:
        raise ValueError("Nothing was decided at this site yet.")
    return canonical(pd.DataFrame(rows), {name: name for name in rows[0]})


def _rows(site: Site, mature: timedelta, at: datetime) -> Iterator[dict[str, Any]]:
    decisions = Decision.objects.filter(transaction__source__site=site).order_by("pk")
    decisions = decisions.select_related("transaction__source", "pass_through")
    last = 0
    while chunk := list(decisions.filter(pk__gt=last)[:CHUNK]):
        last = chunk[-1].pk
        said = FraudLabel.objects.filter(transaction__in=[one.transaction_id for one in chunk])
        label_of = {label.transaction_id: label for label in said.order_by("received_at", "pk")}
        silent = _never_heard_of(chunk)
        for decision in chunk:
            known = label_of.get(decision.transaction_id)
            yield _row(decision, known, mature, at, silent=decision.pk in silent)


def _never_heard_of(chunk: Sequence[Decision]) -> set[int]:
    """Of these the silence of the outside says nothing: held and not released, or not told apart."""
    alerts = Alert.objects.filter(decision__in=chunk).select_related("decision__transaction__source")
    released = Act.objects.filter(decision__in=chunk, kind=ActKind.RELEASE, undoes=None, undone=None)
    free = set(released.values_list("decision", flat=True))
    unsure = alerts.filter(
        dispositions__verdict__in=[Verdict.CANNOT_TELL, Verdict.DUPLICATE], dispositions__withdrawal=None
    )
    held = {
        one.decision_id
        for one in alerts
        if action_for(one.decision.transaction.source, one.decision) == Action.HOLD
    }
    return held - free | set(unsure.values_list("decision", flat=True))


def _row(
    decision: Decision, label: FraudLabel | None, mature: timedelta, at: datetime, *, silent: bool
) -> dict[str, Any]:
    paid, event = decision.transaction, event_of(decision.transaction)
    # What the source did: one that declines what is to be reviewed never learns what that was either.
    declined = action_for(paid.source, decision) == Outcome.DECLINE
    known_at = label.received_at if label else paid.occurred_at + mature
    passed = getattr(decision, "pass_through", None)
    return {
        **{name: getattr(event, name) for name in OF_EVENT},
        "occurred_at": paid.occurred_at,
        "fraud": int(label.fraud) if label else None if declined or silent or known_at > at else 0,
        "label_known_at": known_at,
        "label_source": label.source if label else "",
        "outcome": Outcome.DECLINE.value if declined else str(decision.outcome),
        "selection_probability": passed.probability if passed else 1.0,
    }
