"""Whether the version that an answer names is the one that computed it: its artefact is asked once more.

Runs inside Django. What is compared is the score, from the stored inputs alone.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from apps.fraud.models import Decision, Mode
from apps.fraud.serving import inference as fraud
from apps.modelops.common.selectors import artefact_dir
from apps.modelops.models import ModelVersion
from apps.radiology.analysis.inference import load_predictor
from apps.radiology.common.decoding import reduce_apart
from apps.radiology.common.store import film_path
from apps.radiology.models import Analysis, Instance
from ml.fraud.contracts import KeptVector

SAME = {"fraud": 1e-6, "radiology": 1e-4}  # films went through the network with others beside them
Told = Mapping[str, Sequence[Any]]
Counts = dict[str, int]


def counts(ids: Sequence[str], there: int) -> Counts:
    return {"taken": len(ids), "unanswered": len(ids) - there, "without_model": 0, "replayed": 0,
            "wrong": 0, "told_apart": 0}  # fmt: skip


def replay_payments(ids: Sequence[str], told: Told) -> Counts:
    """Cards decided by the model alone, from each card's first event on: the network's memory too must be
    the one of the version that is named. `told` (version, score) must be what is stored."""
    rows = list(
        Decision.objects.filter(transaction__event_id__in=ids)
        .select_related("transaction", "evidence")
        .order_by("pk")
    )
    found = counts(ids, len(rows))
    by_rules = Counter(row.mode_reason for row in rows if row.mode == Mode.RULES_ONLY)
    found["without_model"] = sum(by_rules.values())
    found |= {f"without_model_{why}": count for why, count in sorted(by_rules.items())}
    in_part = {row.transaction.card_token for row in rows if row.mode != Mode.FULL}
    rows = [row for row in rows if row.transaction.card_token not in in_part]
    by_version = _scores({str(row.artefact_hash) for row in rows}, rows)
    named = dict(ModelVersion.objects.filter(model__domain="fraud").values_list("number", "artefact_hash"))
    for at, row in enumerate(rows):
        mine = by_version[row.artefact_hash][at]
        as_told = tuple(told.get(row.transaction.event_id, (row.model_version, row.score)))
        right = _close(mine, row.score, "fraud") and as_told == (row.model_version, row.score)
        found["replayed"] += 1
        found["wrong"] += not (right and named[row.model_version] == row.artefact_hash)
        others = [scores[at] for name, scores in by_version.items() if name != row.artefact_hash]
        found["told_apart"] += not any(_close(one, row.score, "fraud") for one in others)
    return found


def _scores(hashes: set[str], rows: Sequence[Decision]) -> dict[str, list[float | None]]:
    """Of each version, as if it had served from the first of them."""
    kept = [
        KeptVector(row.transaction.card_token, np.frombuffer(bytes(row.evidence.features), "<f4"), True, True)
        for row in rows
    ]
    return {name: fraud.predictor_of(name).follow(kept, {})[0] for name in hashes}


def replay_films(ids: Sequence[str], told: Told) -> Counts:
    """Each film from its file on, by itself."""
    films = Instance.objects.filter(SOPInstanceUID__in=ids).select_related("site")
    analyses = list(Analysis.objects.filter(instance__in=films).select_related("instance__site", "version"))
    found = counts(ids, len({one.instance_id for one in analyses}))
    predictors = {
        version: load_predictor(artefact_dir(version), version.artefact_hash, version.variant)
        for version in {one.version for one in analyses}
    }
    for analysis in analyses:
        instance = analysis.instance
        film = reduce_apart(film_path(instance.site, instance.file_sha256)).film
        stored = dict(analysis.findings.values_list("label", "probability"))
        same: dict[ModelVersion, bool] = defaultdict(bool)
        for version, predictor in predictors.items():
            [answer] = predictor.judge([film])
            again = {one.label: one.probability for one in answer.findings}
            same[version] = again.keys() == stored.keys() and all(
                _close(again[label], stored[label], "radiology") for label in stored
            )
        found["replayed"] += 1
        found["wrong"] += not same[analysis.version]
        found["told_apart"] += sum(same.values()) <= 1
    return found


def _close(one: float | None, other: float | None, domain: str) -> bool:
    return one is not None and other is not None and abs(one - other) <= SAME[domain]


REPLAYS: dict[str, Callable[[Sequence[str], Told], Counts]] = {
    "fraud": replay_payments,
    "radiology": replay_films,
}
