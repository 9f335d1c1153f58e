"""The text of a report: which templates there are, and what of a section its reader said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from apps.accounts.models import Site
from apps.radiology.models import Read, ReportSection, ReportTemplate, Section

FREE = ""
_LOOKED_AT = "Lungs:\nPleura:\nHeart and mediastinum:\nBones and soft tissues:\nDevices:"


@dataclass(frozen=True, slots=True)
class Template:
    """`texts` by the names of `Section`; a section without text is offered empty."""

    key: str
    name: str
    texts: Mapping[str, str] = field(default_factory=dict)


# Prompts, which claim nothing: a line left as it stands is not in the report.
BUILT_IN = (
    Template(
        "chest_pa",
        "Chest PA",
        {Section.TECHNIQUE: "Chest radiograph, PA view.", Section.FINDINGS: _LOOKED_AT},
    ),
    Template(
        "chest_pa_lateral",
        "Chest PA and lateral",
        {
            Section.TECHNIQUE: "Chest radiographs, PA and lateral views.",
            Section.FINDINGS: f"{_LOOKED_AT}\nLateral view:",
        },
    ),
)


def templates_at(site: Site) -> list[Template]:
    """Those that come with Lynceus, then the site's own."""
    own = ReportTemplate.objects.filter(site=site, is_active=True).order_by("name")
    return [*BUILT_IN, *(_as_template(row) for row in own)]


def template_for(site: Site, key: str) -> Template | None:
    return next((one for one in templates_at(site) if one.key == key), None)


def _as_template(row: ReportTemplate) -> Template:
    texts = {name: getattr(row, name) for name in Section.values}
    return Template(f"site-{row.pk}", row.name, texts)


def said_in(offered: str, text: str, *, adopted: bool = False) -> str:
    """The lines that are not the template's own: nobody looked at those, or nobody said so."""
    untouched = Counter() if adopted else Counter(line.strip() for line in offered.splitlines())
    said = []
    for line in text.splitlines():
        words = line.strip()
        if untouched[words]:
            untouched[words] -= 1
        elif words:
            said.append(words)
    return "\n".join(said)


def sections_of(read: Read) -> list[ReportSection]:
    """In their usual order; none where the report is free text."""
    rows = {row.name: row for row in read.sections.all()}
    return [rows[name] for name in Section.values if name in rows]


def texts_of(read: Read) -> list[tuple[str, str]]:
    """(name of a Section, what was said there) where something was. Free text stands among the findings."""
    if sections := sections_of(read):
        return said_by_section(sections)
    return [(Section.FINDINGS, read.text.strip())] if read.text.strip() else []


def said_by_section(sections: Iterable[ReportSection]) -> list[tuple[str, str]]:
    said = ((one.name, said_in(one.offered, one.text, adopted=one.adopted)) for one in sections)
    return [(name, text) for name, text in said if text]


def as_text(texts: Iterable[tuple[str, str]]) -> str:
    return "\n\n".join(f"{Section(name).label}\n{text}" for name, text in texts)
