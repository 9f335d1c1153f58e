"""The queue of discrepancies, and one study's case: who said what of which finding, and how it was settled.

Nobody is named: you, the first or the second reader, the model. Who a reader was is the audit's to tell.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery

from apps.accounts.models import Role, User
from apps.radiology.common.selectors import findings_of_study
from apps.radiology.models import Adjudication, Discrepancy, Finding, Kind, ReadState, Study, Verdict
from apps.radiology.studies.read_labels import OneRead, reads_of_studies
from apps.radiology.studies.reads import may_see_ai
from apps.radiology.studies.second_reads import waits_for_second_read
from ml.radiology.vocabulary import says

ORDINALS = ("First reader", "Second reader", "Third reader")


@dataclass(frozen=True, slots=True)
class Statement:
    """What one party said of a finding at one moment. `finding` where it was the model."""

    who: str
    verdict: str
    at: datetime | None
    hint: str = ""
    finding: Finding | None = None


@dataclass(slots=True)
class Dispute:
    """One finding of a case."""

    label: str
    kinds: list[str]
    statements: list[Statement] = field(default_factory=list)
    settled: Adjudication | None = None

    @property
    def says(self) -> str:
        return says(self.label)


@dataclass(frozen=True, slots=True)
class QueueFilter:
    """An empty string is no narrowing; `state` is open unless it is settled."""

    state: str = ""
    kind: str = ""


def cases_for(user: User, chosen: QueueFilter) -> QuerySet[Study]:
    """Studies of the site with a discrepancy, the longest open first. Those of which this person is asked
    for a second read are left out until they gave it."""
    asked = standing().filter(study=OuterRef("pk"))
    asked = asked.filter(kind=chosen.kind) if chosen.kind else asked
    waiting = Exists(asked.filter(settled_at=None))
    shown = Study.objects.filter(~waits_for_second_read(user), site=user.site_id, withdrawn=False)
    shown = shown.filter(Exists(asked), ~waiting) if chosen.state == "settled" else shown.filter(waiting)
    first = standing().filter(study=OuterRef("pk")).order_by("opened_at").values("opened_at")[:1]
    return shown.annotate(since=Subquery(first)).order_by("since", "pk")


def standing() -> QuerySet[Discrepancy]:
    """Of reads that were not taken back."""
    return Discrepancy.objects.exclude(read__state=ReadState.RETRACTED)


def disputes_of(study: Study) -> dict[str, Dispute]:
    """By finding; without what was said."""
    return disputes_of_studies([study.pk])[study.pk]


def disputes_of_studies(study_ids: Collection[int]) -> dict[int, dict[str, Dispute]]:
    """The same of each, in one query."""
    found: dict[int, dict[str, Dispute]] = {pk: {} for pk in study_ids}
    for one in standing().filter(study__in=study_ids).order_by("label", "pk"):
        held = found[one.study_id].setdefault(one.label, Dispute(one.label, []))
        if (word := Kind(one.kind).label) not in held.kinds:
            held.kinds.append(word)
    return found


def case_of(study: Study, user: User) -> list[Dispute]:
    """Every disputed finding with what each party said of it. Only for who may see it (`may_see_case`)."""
    disputes, held = disputes_of(study), reads_of_studies([study.pk])[study.pk]
    model = {one.label: one for one in findings_of_study(study)}
    settled = {one.label: one for one in study.adjudications.order_by("pk")}
    for label, dispute in disputes.items():
        dispute.settled = settled.get(label)
        dispute.statements = _of_model(model.get(label))
        for place, one in enumerate(read for read in held.reads if read.facts.committed_at):
            who = "You" if one.read.reader_id == user.pk else ORDINALS[min(place, 2)]
            dispute.statements += _of_reader(who, one, label)
    return list(disputes.values())


def _of_model(finding: Finding | None) -> list[Statement]:
    if finding is None:
        return []
    called = "called" if finding.positive else "not called"
    analysis = finding.analysis
    hint = f"version {analysis.version.number}"
    return [Statement("The model", called, analysis.at, hint, finding)]


def _of_reader(who: str, one: OneRead, label: str) -> list[Statement]:
    """As it stood at the commit, and what was said after; nothing of a read that was taken back."""
    if one.facts.retracted:
        return []
    before = one.before.get(label, "")
    knew = (
        "after the model's answer was open"
        if one.facts.exposure == "full"
        else "before the model's answer opened"
    )
    said = [Statement(who, before or "not marked", one.read.committed_at, knew)]
    later = [mark for mark in one.marks if mark.label == label and mark.after_reveal]
    if later and later[-1].verdict != before:
        said.append(
            Statement(
                who, later[-1].verdict or "taken back", later[-1].at, "changed, the model's answer known"
            )
        )
    return said


def may_see_case(user: User, study: Study) -> bool:
    """As the model's answer: by one's own committed read, or by having opened the case."""
    return may_see_ai(user, study)


def is_reader(user: User, study: Study) -> bool:
    return study.reads.filter(reader=user, committed_at__isnull=False).exists()


def others_could(user: User, study: Study) -> bool:
    """Whether the site has a radiologist who did not read the study."""
    colleagues = User.objects.filter(site=study.site_id, role=Role.RADIOLOGIST, is_active=True)
    readers = study.reads.filter(committed_at__isnull=False).values("reader")
    return colleagues.exclude(Q(pk=user.pk) | Q(pk__in=readers)).exists()


VERDICTS = ((Verdict.PRESENT, "present"), (Verdict.ABSENT, "absent"), (Verdict.UNSURE, "cannot tell"))
