"""How far a site's payments have moved from what the version in service was judged on, by feature."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

import numpy as np

from apps.accounts.models import Site
from apps.core.clock import now
from apps.fraud.models import HourlyDrift
from apps.modelops.common.places import artefact_folder
from apps.modelops.common.selectors import champion
from ml.common.artefact import ArtefactError, open_artefact
from ml.fraud.drift import Counts, Floats, Reference, psi, threshold

WINDOW = timedelta(hours=24)
ENOUGH = 200  # fewer payments say nothing


@dataclass(frozen=True, slots=True)
class Moved:
    """One feature, or the score: its index, what that stays below without drift, and shares missing."""

    name: str
    psi: float
    limit: float
    missing: float
    missing_then: float

    @property
    def drifted(self) -> bool:
        return self.psi > self.limit

    @property
    def missing_percent(self) -> float:
        return 100 * self.missing

    @property
    def missing_then_percent(self) -> float:
        return 100 * self.missing_then


@dataclass(frozen=True, slots=True)
class Drift:
    """Of the version in service over the last WINDOW, from `n` payments (a sample of the busy hours) of
    `hours` hours; the score first, then what moved furthest beyond its limit. `why_not`: why there is
    nothing, or empty."""

    version: int | None
    n: int
    hours: int
    rows: tuple[Moved, ...]
    why_not: str = ""

    @property
    def drifted(self) -> tuple[Moved, ...]:
        return tuple(row for row in self.rows if row.drifted)


def reference_of(artefact_hash: str) -> Reference | None:
    """None where the artefact is not whole, or is older than such references."""
    try:
        return _reference(artefact_hash)
    except ArtefactError:
        return None


@lru_cache(maxsize=4)
def _reference(artefact_hash: str) -> Reference:
    artefact = open_artefact(artefact_folder(artefact_hash), artefact_hash, kind="fraud")
    return Reference.from_bytes(artefact.path("drift.npz").read_bytes())


def drift_at(site: Site) -> Drift:
    serving = champion("fraud")
    if serving is None:
        return Drift(None, 0, 0, (), "No model is in service.")
    reference = reference_of(serving.artefact_hash)
    if reference is None:
        return Drift(
            serving.number, 0, 0, (),
            "This version keeps nothing to compare with, or its files are not on this host: train again.",
        )  # fmt: skip
    kept = _kept(site, serving.artefact_hash, now() - WINDOW)
    counts, n = added_up(reference, (counts for _, counts in kept))
    if n < ENOUGH:
        return Drift(
            serving.number, n, len(kept), (), f"Fewer than {ENOUGH} payments in 24 hours say nothing yet."
        )
    rows = _moved(reference, counts, limits_of(serving.artefact_hash, n))
    return Drift(serving.number, n, len(kept), rows)


def score_by_hour(site: Site, since: datetime) -> tuple[Reference | None, list[tuple[datetime, Counts]]]:
    """The reference of the version in service, and where scores lay in each hour: (BINS,) each."""
    serving = champion("fraud")
    reference = reference_of(serving.artefact_hash) if serving else None
    if serving is None or reference is None:
        return None, []
    shape = reference.counts.shape[1:]
    kept = _kept(site, serving.artefact_hash, since)
    return reference, [(hour, _read(counts, shape)[-1]) for hour, counts in kept]


def added_up(reference: Reference, kept: Iterable[bytes]) -> tuple[Counts, int]:
    """(f, BINS) over all, and of how many payments."""
    total = np.zeros(reference.counts.shape[1:], np.int64)
    for counts in kept:
        total += _read(counts, total.shape)
    return total, int(total[-1].sum())


def _kept(site: Site, artefact_hash: str, since: datetime) -> list[tuple[datetime, bytes]]:
    rows = HourlyDrift.objects.filter(site=site, artefact_hash=artefact_hash, hour__gte=since)
    return [(hour, bytes(counts)) for hour, counts in rows.order_by("hour").values_list("hour", "counts")]


def _read(counts: bytes, shape: tuple[int, ...]) -> Counts:
    return np.frombuffer(counts, "<i4").reshape(shape).astype(np.int64)


def limits_of(artefact_hash: str, n: int) -> Floats:
    """(f,) of `ml.fraud.drift.threshold`, for two digits of `n`: that is exact enough to remember it by."""
    step = 10 ** max(0, len(str(n)) - 2)
    return _limits(artefact_hash, n // step * step)


@lru_cache(maxsize=64)
def _limits(artefact_hash: str, n: int) -> Floats:
    return threshold(_reference(artefact_hash), n)


def _moved(reference: Reference, counts: Counts, limits: Floats) -> tuple[Moved, ...]:
    then = reference.counts.sum(0)
    index = psi(then, counts)
    missing, missing_then = (one[:, -1] / np.maximum(one.sum(-1), 1) for one in (counts, then))
    *features, score = (
        Moved(name, *map(float, of))
        for name, *of in zip(reference.names, index, limits, missing, missing_then, strict=True)
    )
    features.sort(key=lambda row: row.psi - row.limit, reverse=True)
    return (score, *features)
