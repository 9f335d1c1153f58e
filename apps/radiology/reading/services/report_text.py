"""Begin a report from a template, and keep its sections as they are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.db import transaction

from apps.core.errors import LynceusError
from apps.radiology.documents.reporting import (
    FREE,
    as_text,
    said_by_section,
    sections_of,
    template_for,
    texts_of,
)
from apps.radiology.models import Read, ReportSection, Section
from apps.radiology.reading.services.reads import TEXT_MAX, opened


@dataclass(frozen=True, slots=True)
class Written:
    """What stands in a section; `adopted`: its reader says all of it as it stands."""

    text: str
    adopted: bool = False


@transaction.atomic
def choose_template(read: Read, key: str) -> None:
    """Offer the texts of this template, or of none: `FREE`. What was said already stays, below what is
    offered. LynceusError 409 read_closed, study_locked; 404 unknown_template."""
    read = opened(read)
    said = dict(texts_of(read))
    read.sections.all().delete()
    if key == FREE:
        _keep_text(read, as_text(said.items()) if set(said) != {Section.FINDINGS} else said[Section.FINDINGS])
        return
    template = template_for(read.study.site, key)
    if template is None:
        raise LynceusError("unknown_template", "There is no such template any more.", status=404)
    for name in Section.values:
        offered = template.texts.get(name, "")
        text = "\n".join(filter(None, (offered, said.get(name, ""))))
        ReportSection.objects.create(read=read, name=name, offered=offered, text=text)
    _sum_up(read)


@transaction.atomic
def keep_sections(read: Read, written: Mapping[str, Written]) -> None:
    """Of a report that began from a template; a section that is not named stays. LynceusError 409
    read_closed, study_locked; 422 text_too_long."""
    read = opened(read)
    if sum(len(one.text) for one in written.values()) > TEXT_MAX:
        raise LynceusError("text_too_long", f"A report has at most {TEXT_MAX:,} characters.", status=422)
    for section in sections_of(read):
        if (one := written.get(section.name)) is not None:
            section.text, section.adopted = one.text, one.adopted
            section.save(update_fields=["text", "adopted"])
    _sum_up(read)


def _sum_up(read: Read) -> None:
    """`Read.text` is what was said, for whoever shows the report as one text."""
    _keep_text(read, as_text(said_by_section(sections_of(read))))


def _keep_text(read: Read, text: str) -> None:
    Read.objects.filter(pk=read.pk).update(text=text)
