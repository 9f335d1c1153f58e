"""What the reads of studies say as labels: rows as facts for the rules of ml.radiology.reader_labels."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from django.db.models import Exists, OuterRef

from apps.radiology.models import Adjudication, Instance, Mark, Read, ReadState, Study, Verdict
from apps.radiology.studies.changes import in_question
from ml.radiology.reader_labels import (
    Label,
    Marked,
    ReadFacts,
    Why,
    labels_of,
    resolved,
    standing_marks,
    why_no_label,
    why_not_this,
)


@dataclass(frozen=True, slots=True)
class OneRead:
    read: Read
    facts: ReadFacts
    marks: tuple[Marked, ...]

    @property
    def why_not(self) -> Why | None:
        """Why nothing of it is a label."""
        return why_no_label(self.facts) or (None if self.labels else Why.UNSURE)

    @property
    def labels(self) -> dict[str, Label]:
        return labels_of(self.facts, self.marks)

    @property
    def before(self) -> dict[str, str]:
        """The verdict of each finding as it stood at the commit."""
        at = self.facts.committed_at
        return {} if at is None else {k: one.verdict for k, one in standing_marks(self.marks, at).items()}

    @property
    def after(self) -> dict[str, str]:
        """As it stands now."""
        return {one.label: one.verdict for one in self.marks}


@dataclass(slots=True)
class StudyReads:
    """The reads of one study, the first begun first; `settled` by finding, None as unknown."""

    study: Study
    reads: list[OneRead] = field(default_factory=list)
    settled: dict[str, Label | None] = field(default_factory=dict)

    @property
    def usable(self) -> list[OneRead]:
        return [one for one in self.reads if one.why_not is None]

    @property
    def blind(self) -> list[dict[str, Label]]:
        return [one.labels for one in self.usable]

    @property
    def labels(self) -> dict[str, Label]:
        """By finding, as it is held to be; empty where no read may teach."""
        if not self.usable:
            return {}
        return resolved(self.blind, self.settled)

    def why_not(self, one: OneRead) -> dict[str, Why | None]:
        """By finding of this read why it is no label, None where it is."""
        return {k: why_not_this(k, said, self.blind, self.settled) for k, said in one.labels.items()}


def reads_of_studies(study_ids: Collection[int]) -> dict[int, StudyReads]:
    """In four queries, however many."""
    rejected = Instance.objects.filter(study=OuterRef("pk"), rejected_by__isnull=False)
    studies = Study.objects.filter(pk__in=study_ids).annotate(
        rejected=Exists(rejected), questioned=in_question()
    )
    found = {study.pk: StudyReads(study) for study in studies.select_related("site")}
    marks: dict[int, list[Marked]] = {}
    for mark in Mark.objects.filter(read__study__in=found).order_by("pk"):
        said = Marked(mark.label, mark.verdict, mark.at, mark.after_reveal)
        marks.setdefault(mark.read_id, []).append(said)
    for read in Read.objects.filter(study__in=found).order_by("pk"):
        held = found[read.study_id]
        held.reads.append(OneRead(read, _facts(read, held.study), tuple(marks.get(read.pk, ()))))
    for one in Adjudication.objects.filter(study__in=found).order_by("pk"):
        found[one.study_id].settled[one.label] = _settled(one)
    return found


def _facts(read: Read, study: Study) -> ReadFacts:
    return ReadFacts(
        reader=read.reader_id,
        committed_at=read.committed_at,
        exposure=read.ai_exposure,
        retracted=read.state == ReadState.RETRACTED,
        withdrawn=study.withdrawn,
        rejected=study.rejected,  # type: ignore[attr-defined]
        in_question=study.questioned,  # type: ignore[attr-defined]
    )


def _settled(one: Adjudication) -> Label | None:
    if one.verdict == Verdict.UNSURE:
        return None
    return Label(one.verdict == Verdict.PRESENT, one.by_id, one.at, adjudicated=True)
