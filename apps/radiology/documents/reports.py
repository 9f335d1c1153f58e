"""Reads: what a report says, under whose name, who may see it, and its DICOM documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from apps.accounts.models import Site, User
from apps.radiology.documents.reporting import texts_of
from apps.radiology.models import (
    Addendum,
    Communication,
    DocumentKind,
    IdentityChange,
    Read,
    ReadState,
    ReportDocument,
    ReportPolicy,
    Section,
    Study,
)
from apps.radiology.studies.flags import changes_since, flagged_reads, identity_changed
from apps.radiology.studies.reads import said_by
from apps.radiology.studies.second_reads import waits_for_second_read
from ml.radiology.report import Marked


@dataclass(frozen=True, slots=True)
class Block:
    """A section as it is shown: sentences of what was marked, then what was written."""

    title: str
    marked: Sequence[str]
    text: str


@dataclass(frozen=True, slots=True)
class Report:
    """`texts` are (name of a `Section`, what was said)."""

    read: Read
    marked: Sequence[Marked]
    texts: Sequence[tuple[str, str]]
    addenda: Sequence[Addendum]
    communications: Sequence[Communication]
    organization: str
    flagged: bool
    changes: Sequence[IdentityChange]

    @property
    def study(self) -> Study:
        return self.read.study

    @property
    def reader(self) -> str:
        return self.read.reader.full_name or self.read.reader.email

    @property
    def blocks(self) -> list[Block]:
        """The sections in their usual order, without those of which nothing is said."""
        written = dict(self.texts)
        blocks = []
        for section in Section:
            marked = [one.sentence for one in self.marked] if section == Section.FINDINGS else []
            if marked or written.get(section):
                blocks.append(Block(section.label, marked, written.get(section, "")))
        return blocks

    @property
    def standing(self) -> str:
        """What the report is, in a sentence."""
        return {
            ReadState.PRELIMINARY: "Preliminary: committed, not signed.",
            ReadState.FINAL: "Final: signed.",
            ReadState.AMENDED: "Amended: signed, and added to since.",
            ReadState.RETRACTED: "Retracted: it is of the wrong patient. Do not use it.",
        }.get(ReadState(self.read.state), "Draft.")


def report_of(read: Read) -> Report:
    """A read of which the reader committed something at least."""
    flagged = identity_changed(read)
    return Report(
        read=read,
        marked=marked_by(read),
        texts=texts_of(read),
        addenda=list(read.addenda.order_by("pk")),
        communications=list(
            read.communications.filter(withdrawn_at=None).select_related("told_by").order_by("pk")
        ),
        organization=organization_of(read.study.site),
        flagged=flagged,
        changes=list(changes_since(read)) if flagged else [],
    )


def marked_by(read: Read) -> list[Marked]:
    """What stands of what was marked: what is not marked is not there."""
    said = said_by(read)
    return [Marked(label, one.verdict, one.side) for label, one in said.items() if one.verdict]


def policy_of(site: Site) -> ReportPolicy:
    """The site's own, or what counts without one."""
    return ReportPolicy.objects.filter(site=site).first() or ReportPolicy(site=site)


def organization_of(site: Site) -> str:
    return policy_of(site).organization or site.name


def report_for(user: User, public_id: UUID) -> Read | None:
    """Of a study that is shown at the user's site; a draft is no report yet. Who reads the study themselves
    and has not committed does not see what others said."""
    shown = Read.objects.select_related("study__site", "reader", "version").exclude(state=ReadState.DRAFT)
    read = shown.filter(study__site=user.site_id, study__withdrawn=False, public_id=public_id).first()
    return read if read is not None and may_see_reports(user, read.study) else None


def may_see_reports(user: User | None, study: Study) -> bool:
    return user is None or not Study.objects.filter(_blind_for(user), pk=study.pk).exists()


def _blind_for(user: User) -> Q:
    """Of a queryset of studies, those that this person reads, or is asked to read for a second time: what
    others said of them is told once they have committed."""
    drafts = Read.objects.filter(study=OuterRef("pk"), reader=user, state=ReadState.DRAFT)
    return Q(Exists(drafts)) | waits_for_second_read(user)


def reports_on(study: Study, user: User) -> list[Read]:
    """The study's reports by others, for its page."""
    if not may_see_reports(user, study):
        return []
    others = study.reads.exclude(state=ReadState.DRAFT).exclude(reader=user)
    return list(others.select_related("reader").order_by("pk"))


# The DICOM documents.


def document_of(read: Read) -> ReportDocument | None:
    """The report in force, once its file is made; none while it is in doubt whose it is."""
    return documents_in_force().filter(read=read).first()


def documents_of(study: Study, user: User | None) -> list[ReportDocument]:
    return list(shown_documents(user, Study.objects.filter(pk=study.pk)).order_by("pk"))


def shown_documents(user: User | None, studies: QuerySet[Study]) -> QuerySet[ReportDocument]:
    """Of these studies, but where `may_see_reports` says no."""
    told = studies if user is None else studies.filter(~_blind_for(user))
    return documents_in_force().filter(study__in=told)


def documents_in_force() -> QuerySet[ReportDocument]:
    """Made, not superseded, and in no doubt whose they are."""
    made = ReportDocument.objects.select_related("site").exclude(file_sha256="")
    flagged = flagged_reads().values("pk")
    return made.filter(superseded_at=None, kind=DocumentKind.REPORT).exclude(read__in=flagged)


def documents_due(at: datetime) -> QuerySet[ReportDocument]:
    """Whose file is to be made. One that was superseded before never is."""
    due = ReportDocument.objects.filter(Q(file_sha256=""), superseded_at=None, due_at__lte=at)
    return due.order_by("due_at", "pk")
