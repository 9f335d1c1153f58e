"""What is seen of the testing domain: whatever a test puts into FACTS, by the site's slug."""

from __future__ import annotations

from apps.accounts.models import Site
from apps.modelops.common.watched import Fact, Measure, Unit, Worse
from apps.modelops.models import ModelVersion

MEASURES = (
    Measure("drift", "Drift", "How far it moved.", Unit.SHARE, Worse.ABOVE, 0.2, enough=50),
    Measure(
        "auc", "AUC", "By what is known.", Unit.NUMBER, Worse.BELOW, 0.05, enough=20, against_training=True
    ),
    Measure("latency", "Latency", "Of the slowest.", Unit.SECONDS, Worse.ABOVE, None, most=600),
)
FACTS: dict[str, list[Fact]] = {}


def watch(site: Site, version: ModelVersion) -> list[Fact]:
    return FACTS.get(site.slug, [])


def reliability(site: Site, version: ModelVersion) -> list[list[float]]:
    return [[0.1, 0.12, 0.05, 0.2, 90.0], [0.8, 0.7, 0.5, 0.85, 40.0]]
