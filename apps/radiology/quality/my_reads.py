"""Where a reader's reads went: which are labels, in which frozen dataset, what trained on it, and why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Count, Max, QuerySet

from apps.accounts.models import User
from apps.modelops.models import DatasetSnapshot, ModelVersion
from apps.radiology.models import FrozenLabel, Instance, Read, Status
from apps.radiology.studies.read_labels import reads_of_studies
from ml.radiology.reader_labels import WORDS, Why
from ml.radiology.vocabulary import says


@dataclass(frozen=True, slots=True)
class MyRead:
    """`why_not` in words where nothing of it is a label; `datasets` by name where something is frozen.

    `present` and `absent` are findings that are labels; `left_out` those that are none, each with why.
    """

    read: Read
    why_not: str
    present: list[str]
    absent: list[str]
    left_out: list[tuple[str, str]]
    datasets: list[str]


@dataclass(frozen=True, slots=True)
class Went:
    """A frozen dataset with this reader's labels, and the versions that were trained on it."""

    dataset: DatasetSnapshot
    labels: int
    reads: int
    versions: list[ModelVersion]


def committed_by(user: User) -> QuerySet[Read]:
    """The latest first."""
    mine = Read.objects.filter(reader=user, committed_at__isnull=False).select_related("study")
    return mine.order_by("-committed_at", "-pk")


def where_they_went(user: User) -> list[Went]:
    """The newest dataset first."""
    mine = FrozenLabel.objects.filter(read__reader=user).values("dataset")
    counted = mine.annotate(labels=Count("pk"), reads=Count("read", distinct=True), last=Max("dataset"))
    datasets = DatasetSnapshot.objects.in_bulk([row["dataset"] for row in counted])
    versions: dict[int, list[ModelVersion]] = {}
    learnt = ModelVersion.objects.filter(dataset__in=datasets).exclude(origin__learnt_here=False)
    trained = learnt.select_related("model")
    for version in trained.order_by("number"):
        versions.setdefault(version.dataset_id, []).append(version)
    rows = sorted(counted, key=lambda row: row["dataset"], reverse=True)
    return [
        Went(datasets[row["dataset"]], row["labels"], row["reads"], versions.get(row["dataset"], []))
        for row in rows
    ]


def explained(reads: Sequence[Read]) -> list[MyRead]:
    """Each with what became of it."""
    studies = {read.study_id for read in reads}
    held = reads_of_studies(studies)
    analysed = Instance.objects.filter(study__in=studies, status=Status.ANALYSED, rejected_by=None)
    with_film = set(analysed.values_list("study", flat=True))
    frozen: dict[int, list[str]] = {}
    mine = FrozenLabel.objects.filter(read__in=reads).order_by("dataset")
    for read_id, name in mine.values_list("read", "dataset__name").distinct():
        frozen.setdefault(read_id, []).append(name)
    found = []
    for read in reads:
        of_study = held[read.study_id]
        one = next(one for one in of_study.reads if one.read.pk == read.pk)
        why = one.why_not or (None if read.study_id in with_film else Why.NO_FILM)
        whys = of_study.why_not(one) if one.why_not is None else {}
        said = one.labels
        found.append(
            MyRead(
                read,
                WORDS[why] if why else "",
                [says(label) for label, wrong in whys.items() if not wrong and said[label].present],
                [says(label) for label, wrong in whys.items() if not wrong and not said[label].present],
                [(says(label), WORDS[wrong]) for label, wrong in whys.items() if wrong],
                frozen.get(read.pk, []),
            )
        )
    return found
