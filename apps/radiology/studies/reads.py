"""Reads: what a radiologist said of a study, and whether the model's answer is open to them yet."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet

from apps.accounts.models import Site, User
from apps.core.clock import now
from apps.radiology.common.selectors import findings_of_study, labels_in_service
from apps.radiology.models import CaseOpened, Finding, Read, ReadingPolicy, Side, Study, StudyLock, Verdict
from ml.radiology.vocabulary import says

# What is offered where no model has spoken yet; the words are the vocabulary's.
USUAL = ("Cardiomegaly", "Consolidation", "Effusion", "Nodule", "Pneumothorax")


@dataclass(frozen=True, slots=True)
class Said:
    """Nothing marked is unknown, which is not absent."""

    verdict: str = ""
    side: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One finding on the panel: what was marked, before and after the model's answer, and that answer."""

    label: str
    said: Said
    before: Said
    finding: Finding | None = None

    @property
    def says(self) -> str:
        return says(self.label)

    @property
    def side_word(self) -> str:
        return Side(self.said.side).label if self.said.side else ""

    @property
    def differs(self) -> bool:
        """What the reader had marked and the model's call are not the same; unknown differs from nothing."""
        if self.finding is None or self.finding.operating_point is None:
            return False
        marked = {Verdict.PRESENT: True, Verdict.ABSENT: False}.get(Verdict(self.said.verdict or "unsure"))
        return marked is not None and marked != self.finding.positive

    @property
    def changed(self) -> bool:
        return self.said != self.before


def policy_of(site: Site) -> ReadingPolicy:
    """The site's own, or one with the defaults that is not stored."""
    return ReadingPolicy.objects.filter(site=site).first() or ReadingPolicy(site=site)


def reads_concurrently(site: Site) -> bool:
    return ReadingPolicy.objects.filter(site=site, concurrent=True).exists()


def may_see_ai(user: User | None, study: Study) -> bool:
    """A program may; a person once they have committed a read of the study, or have opened its case to settle
    what others differ on, or where the site reads so."""
    return study.pk in opened_to(user, [study])


def opened_to(user: User | None, studies: Collection[Study]) -> set[int]:
    """The keys of those of one site where `may_see_ai`. Always as many queries."""
    keys = [study.pk for study in studies]
    return set(opened_studies(user, Study.objects.filter(pk__in=keys)).values_list("pk", flat=True))


def opened_studies(user: User | None, studies: QuerySet[Study]) -> QuerySet[Study]:
    """Those of one site where `may_see_ai`."""
    if user is None or reads_concurrently(user.site):
        return studies
    read = Read.objects.filter(study=OuterRef("pk"), reader=user, committed_at__isnull=False)
    cases = CaseOpened.objects.filter(study=OuterRef("pk"), user=user)
    return studies.filter(Exists(read) | Exists(cases))


def read_of(study: Study, user: User) -> Read | None:
    """The reader's own; of several the last: those before it were retracted."""
    return _whole().filter(study=study, reader=user).first()


def read_for(user: User, public_id: UUID) -> Read | None:
    """The same, of a study that is shown."""
    shown = _whole().filter(reader=user, study__site=user.site, study__withdrawn=False)
    return shown.filter(study__public_id=public_id).first()


def _whole() -> QuerySet[Read]:
    return Read.objects.select_related("study__site", "reader", "version").order_by("-pk")


def lock_on(study: Study) -> StudyLock | None:
    return StudyLock.objects.select_related("by").filter(study=study, expires_at__gt=now()).first()


def said_by(read: Read, *, blind: bool = False) -> dict[str, Said]:
    """By label what stands; `blind`: of what was marked before the model's answer opened."""
    marks = read.marks.filter(after_reveal=False) if blind else read.marks
    return {mark.label: Said(mark.verdict, mark.side) for mark in marks.order_by("pk")}


def labels_to_read() -> list[str]:
    return labels_in_service() or list(USUAL)


def lines_of(read: Read) -> list[Line]:
    """The findings asked for, and whatever else was marked; with the model's call once that is open."""
    said, before = said_by(read), said_by(read, blind=True)
    labels = dict.fromkeys([*labels_to_read(), *said])
    opened = may_see_ai(read.reader, read.study)
    found = {one.label: one for one in findings_of_study(read.study)} if opened else {}
    return [
        Line(label, said.get(label, Said()), before.get(label, Said()), found.get(label)) for label in labels
    ]
