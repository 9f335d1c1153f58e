"""Set what readers said beside what the model called, and open what differs. A sweeper does it for every
study that changed, from the rows themselves: nothing that changes a study need know of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date

from django.db import transaction
from django.db.models import F, Q

from apps.core.clock import now
from apps.radiology.models import (
    Comparison,
    Discrepancy,
    Draw,
    Finding,
    Kind,
    Purpose,
    Read,
    SecondRead,
    Status,
    Study,
)
from apps.radiology.studies.read_labels import OneRead, StudyReads, reads_of_studies
from ml.radiology.ages import SEXES, age_years, band_of
from ml.radiology.reader_labels import Label, agreed

AT_ONCE, SWEPT = 50, 1000
DUE = ~Q(read_state="") & (Q(compared_for=None) | Q(compared_for__lt=F("changed_at")))


@dataclass(frozen=True, slots=True)
class Call:
    """What one version said of one finding of a study, on the film where it is most probable."""

    version: int
    label: str
    probability: float
    called: bool | None
    view: str


def compare_due_studies() -> int:
    """The longest changed first. Returns how many."""
    due = list(Study.objects.filter(DUE).order_by("changed_at").values_list("pk", flat=True)[:SWEPT])
    for start in range(0, len(due), AT_ONCE):
        compare_studies(due[start : start + AT_ONCE])
    return len(due)


@transaction.atomic
def compare_studies(study_ids: Collection[int]) -> None:
    locked = Study.objects.select_for_update().filter(pk__in=study_ids).order_by("pk")
    seen = dict(locked.values_list("pk", "changed_at"))
    reads, calls, weights = reads_of_studies(seen), _calls(seen), _weights(seen)
    Comparison.objects.filter(study__in=seen).delete()
    Comparison.objects.bulk_create(
        row for pk, held in reads.items() for row in _compared(held, calls[pk], weights[pk])
    )
    seconds = {
        one.read_id: one.first_id for one in SecondRead.objects.filter(study__in=seen, read__isnull=False)
    }
    opened = [row for pk, held in reads.items() for row in _differing(held, calls[pk], seconds)]
    Discrepancy.objects.bulk_create(opened, ignore_conflicts=True)
    for pk, changed_at in seen.items():
        Study.objects.filter(pk=pk).update(compared_for=changed_at)


def _calls(study_ids: Collection[int]) -> dict[int, list[Call]]:
    """By study, the version that spoke last first."""
    spoken = Finding.objects.filter(
        analysis__instance__study__in=study_ids, analysis__instance__status=Status.ANALYSED,
        analysis__instance__rejected_by=None,
    ).order_by("-analysis__version", "label", "-probability")  # fmt: skip
    found: dict[int, dict[tuple[int, str], Call]] = {pk: {} for pk in study_ids}
    for study, version, label, probability, point, positive, view in spoken.values_list(
        "analysis__instance__study", "analysis__version", "label", "probability", "operating_point",
        "positive", "analysis__instance__ViewPosition",
    ):  # fmt: skip
        called = None if point is None else positive
        found[study].setdefault((version, label), Call(version, label, probability, called, view.upper()))
    return {pk: list(calls.values()) for pk, calls in found.items()}


def _weights(study_ids: Collection[int]) -> dict[int, float | None]:
    """How many studies each stands for where those that were not raised are a sample; None for the rest."""
    chosen = Draw.objects.filter(study__in=study_ids, purpose=Purpose.SAMPLE, value__lt=F("probability"))
    sampled = {study: 1 / probability for study, probability in chosen.values_list("study", "probability")}
    raised = Study.objects.filter(pk__in=study_ids).values_list("pk", "raised")
    return {pk: 1.0 if is_raised else sampled.get(pk) for pk, is_raised in raised}


def _compared(held: StudyReads, calls: list[Call], weight: float | None) -> Iterator[Comparison]:
    usable, labels, blind = held.usable, held.labels, agreed(held.blind)
    if not usable:
        return
    first = min(one.read.committed_at for one in usable if one.read.committed_at)
    study = held.study
    for call in calls:
        said, stands = blind.get(call.label), labels.get(call.label)
        if said is None and stands is None:
            continue
        yield Comparison(
            site_id=study.site_id, study_id=study.pk, version_id=call.version, label=call.label,
            probability=call.probability, called=call.called, blind=said.present if said else None,
            present=stands.present if stands else None, adjudicated=call.label in held.settled,
            sex=SEXES.get(study.PatientSex.upper(), ""), age_band=age_band_of(study), view=call.view,
            weight=weight, read_at=first,
        )  # fmt: skip


def age_band_of(study: Study) -> str:
    """By what the study says, else by its dates; empty where neither tells."""
    years = age_years(study.PatientAge)
    if years is None:
        born, taken = _day(study.PatientBirthDate), _day(study.StudyDate)
        years = (taken - born).days / 365.25 if born and taken and taken >= born else None
    return band_of(years)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _differing(held: StudyReads, calls: list[Call], seconds: dict[int | None, int]) -> Iterator[Discrepancy]:
    by_read = {one.read.pk: one for one in held.reads}
    for one in held.usable:
        for label in _against_model(one, calls):
            yield _opened(held, one.read, label, Kind.AI)
        first = by_read.get(seconds.get(one.read.pk, 0))
        for label in _against_first(one.labels, first.labels if first else {}):
            yield _opened(held, one.read, label, Kind.SECOND_READ)
    for one in held.reads:
        if one.read.is_signed:
            for label, verdict in one.after.items():
                if verdict != one.before.get(label, ""):
                    yield _opened(held, one.read, label, Kind.CHANGED)


def _against_model(one: OneRead, calls: list[Call]) -> Iterator[str]:
    """The findings of a read that the version which opened to its reader called otherwise."""
    spoke = one.read.version_id or (calls[0].version if calls else None)
    for call in calls:
        said = one.labels.get(call.label)
        if call.version == spoke and said is not None and call.called not in (None, said.present):
            yield call.label


def _against_first(second: dict[str, Label], first: dict[str, Label]) -> Iterator[str]:
    yield from (k for k, said in second.items() if k in first and first[k].present != said.present)


def _opened(held: StudyReads, read: Read, label: str, kind: Kind) -> Discrepancy:
    settled = held.settled.get(label)
    at = now()
    done = at if label in held.settled else None
    return Discrepancy(
        study=held.study, read=read, label=label, kind=kind, opened_at=at,
        settled_at=settled.at if settled else done,
    )  # fmt: skip
