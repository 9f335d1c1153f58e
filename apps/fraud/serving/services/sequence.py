"""Hand a card's state on to a newly promoted network.

Counts and windows belong to the card and stay. What the network before remembered means nothing to the
new one, which makes its own from the vectors of the card's latest decisions: before its first decision on
the card, under the lock which that decision holds, so that nothing can come between.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.db.models import Q

from apps.fraud.models import TOO_OLD, Evidence
from apps.fraud.serving.predictors import Champion
from apps.fraud.serving.services.states import Held, readable
from ml.fraud.memory import CARD

EVENTS = 100  # more than a network of this kind remembers of


def states_for(model: Champion, site_id: int, rows: Mapping[str, Held]) -> tuple[dict[str, bytes], set[str]]:
    """States this champion can go on from, and the tokens of cards whose vectors are no longer kept.

    Of those the network knows nothing yet, while their counts and windows are whole.
    """
    states, forgotten = readable(rows), set()
    for key in states:
        if key.startswith(CARD) and rows[key].artefact_hash not in ("", model.artefact_hash):
            token = key.removeprefix(CARD)
            vectors = latest_vectors(site_id, token)
            states[key] = model.predictor.remember(states[key], vectors)
            if not vectors:
                forgotten.add(token)
    return states, forgotten


def latest_vectors(site_id: int, card_token: str, before: int | None = None) -> list[bytes]:
    """In the order of deciding, of decisions up to now or before this one."""
    evidence = Evidence.objects.filter(
        decision__transaction__source__site_id=site_id, decision__transaction__card_token=card_token
    ).exclude(Q(features=b"") | Q(decision__mode_reason=TOO_OLD))
    if before is not None:
        evidence = evidence.filter(decision_id__lt=before)
    latest = evidence.order_by("-decision__transaction__occurred_at").values_list("decision_id", "features")
    return [bytes(features) for _, features in sorted(latest[:EVENTS])]
