"""A film version in shadow beside what readers said since, and the version in service on the same films."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from django.db.models import Exists, OuterRef, QuerySet

from apps.radiology.lifecycle.shadow_figures import called_by_both, share
from apps.radiology.models import Comparison, ShadowAnalysis
from apps.radiology.quality.quality import ENOUGH, Share
from ml.common.metrics import Ints
from ml.common.paired import Difference, paired_differences
from ml.radiology.vocabulary import says

ROUNDS = 200
Call = tuple[float, bool]  # the probability, and whether that is called
Hits = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Read:
    """One finding of one study: what was read before the reveal, and what the two versions call."""

    patient: str
    present: bool
    was: bool
    would: bool


@dataclass(frozen=True, slots=True)
class Measure:
    """Of both versions, and the second's less the first's: None below ENOUGH studies."""

    title: str
    was: Share
    would: Share
    difference: Difference | None

    @property
    def verdict(self) -> str:
        """In words; empty where there are too few."""
        if self.difference is None or self.difference.low is None or self.difference.high is None:
            return ""
        if self.difference.low > 0:
            return "better"
        return "worse" if self.difference.high < 0 else "no difference shown"


@dataclass(frozen=True, slots=True)
class Against:
    label: str
    n: int
    measures: tuple[Measure, Measure]

    @property
    def says(self) -> str:
        return says(self.label)


def against_reads(films: QuerySet[ShadowAnalysis]) -> list[Against]:
    """In the order of the findings' words. What was read blind alone counts: what was settled later was
    opened where the version in service and a reader differed, which is no fair test of another version."""
    by_label = _reads(films)
    return [
        Against(label, len(reads), (_sensitivity(reads), _specificity(reads)))
        for label, reads in sorted(by_label.items(), key=lambda one: says(one[0]))
    ]


def _reads(films: QuerySet[ShadowAnalysis]) -> dict[str, list[Read]]:
    """Of each study and finding the film where each version finds it most probable."""
    read = Comparison.objects.filter(
        study=OuterRef("shadow__analysis__instance__study"), label=OuterRef("label"), blind__isnull=False
    )
    said = called_by_both(films).filter(Exists(read)).order_by("pk")
    best: dict[tuple[int, str], tuple[str, Call, Call]] = {}
    for study, patient, label, p_was, called_was, p_would, called_would in said.values_list(
        "shadow__analysis__instance__study", "shadow__analysis__instance__study__PatientID", "label",
        "beside__probability", "beside__positive", "probability", "positive",
    ):  # fmt: skip
        was, would = (float(p_was or 0), bool(called_was)), (p_would, called_would)
        _, known_was, known_would = best.get((study, label), ("", was, would))
        best[study, label] = (patient or f"study {study}", max(known_was, was), max(known_would, would))
    found: dict[str, list[Read]] = {}
    for (study, label), present in _truth({study for study, _ in best}).items():
        if (study, label) in best:
            patient, ours, theirs = best[study, label]
            found.setdefault(label, []).append(Read(patient, present, ours[1], theirs[1]))
    return found


def _truth(studies: Collection[int]) -> dict[tuple[int, str], bool]:
    """The same whichever version it was set beside."""
    read = Comparison.objects.filter(study__in=studies, blind__isnull=False).order_by("study", "label")
    rows = read.values_list("study", "label", "blind")
    return {(study, label): bool(present) for study, label, present in rows}


def _sensitivity(reads: Sequence[Read]) -> Measure:
    return _measure("Sensitivity", [one for one in reads if one.present], lambda called: called)


def _specificity(reads: Sequence[Read]) -> Measure:
    return _measure("Specificity", [one for one in reads if not one.present], lambda called: not called)


def _measure(title: str, reads: Sequence[Read], right: Callable[[bool], bool]) -> Measure:
    sides = [one.was for one in reads], [one.would for one in reads]
    hits = [np.array([right(called) for called in side], np.float64) for side in sides]
    was, would = (share(int(each.sum()), len(each)) for each in hits)
    if len(reads) < ENOUGH:
        return Measure(title, was, would, None)

    def of(
        each: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    ) -> Callable[[Ints], dict[str, float | None]]:
        return lambda rows: {"share": float(each[rows].mean())}

    patients = [one.patient for one in reads]
    found = paired_differences(of(hits[0]), of(hits[1]), patients, rounds=ROUNDS, seed=0)
    return Measure(title, was, would, found["share"])
