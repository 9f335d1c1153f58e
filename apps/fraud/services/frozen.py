"""What a site decided, with what is known of it by now, as rows to train and measure on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from apps.accounts.models import Site
from apps.core.clock import now
from apps.fraud.models import Decision, FraudLabel, Outcome
from apps.fraud.rows import event_of
from apps.fraud.selectors import action_for

if TYPE_CHECKING:
    import pandas as pd

CHUNK = 2000
OF_EVENT = (
    "event_id", "type", "card_token", "amount_minor", "currency", "merchant_id", "terminal_id", "mcc",
    "country", "entry_mode", "channel", "device_id", "ip", "latitude", "longitude",
)  # fmt: skip


def decided_frame(site: Site, mature: timedelta) -> pd.DataFrame:
    """Canonical rows in time order; amounts in the reporting currency. ValueError where nothing was decided.

    The last word on a payment holds. Where nobody spoke it is legitimate once it is `mature`, unless it was
    declined: then nobody ever will, and it stays unknown.
    """
    import pandas as pd

    from ml.fraud.importing import canonical

    rows = list(_rows(site, mature, now()))
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
        for decision in chunk:
            yield _row(decision, label_of.get(decision.transaction_id), mature, at)


def _row(decision: Decision, label: FraudLabel | None, mature: timedelta, at: datetime) -> dict[str, Any]:
    paid, event = decision.transaction, event_of(decision.transaction)
    # What the source did: one that declines what is to be reviewed never learns what that was either.
    declined = action_for(paid.source, decision) == Outcome.DECLINE
    known_at = label.received_at if label else paid.occurred_at + mature
    passed = getattr(decision, "pass_through", None)
    return {
        **{name: getattr(event, name) for name in OF_EVENT},
        "occurred_at": paid.occurred_at,
        "fraud": int(label.fraud) if label else None if declined or known_at > at else 0,
        "label_known_at": known_at,
        "label_source": label.source if label else "",
        "outcome": Outcome.DECLINE.value if declined else str(decision.outcome),
        "selection_probability": passed.probability if passed else 1.0,
    }
