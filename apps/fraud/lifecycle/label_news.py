"""What became known of payments since a dataset was frozen, in numbers for the administrator."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Count, Q

from apps.accounts.models import Site
from apps.fraud.models import FraudLabel, LabelSource


def label_news(site: Site, since: datetime | None) -> dict[str, int]:
    """Since ever where `since` is None. Counted by when it was known here."""
    labels = FraudLabel.objects.filter(transaction__source__site=site)
    if since is not None:
        labels = labels.filter(received_at__gt=since)
    analyst, chargeback = Q(source=LabelSource.ANALYST), Q(source=LabelSource.CHARGEBACK)
    found = labels.aggregate(
        dispositions=Count("pk", filter=analyst),
        chargebacks=Count("pk", filter=chargeback),
        reports=Count("pk", filter=~analyst & ~chargeback),
    )
    return {
        "labels from dispositions": found["dispositions"],
        "chargebacks": found["chargebacks"],
        "other reports": found["reports"],
    }
