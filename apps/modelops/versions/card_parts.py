"""What a model card is made of."""

from __future__ import annotations

from dataclasses import dataclass, field

from apps.modelops.common.measures import Table


@dataclass(frozen=True, slots=True)
class Fact:
    """`href` leads to more; `code` for what is copied rather than read."""

    name: str
    value: str
    href: str = ""
    code: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """`beside`: in the narrow column of the page. `charts` are (name, title); in Markdown the tables of
    `charted` stand for them."""

    title: str
    paragraphs: tuple[str, ...] = ()
    bullets: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    tables: tuple[Table, ...] = ()
    charts: tuple[tuple[str, str], ...] = ()
    charted: tuple[Table, ...] = ()
    missing: str = ""
    beside: bool = False
    first: str = ""  # of the tables, what their rows are

    @property
    def has_text(self) -> bool:
        return bool(self.paragraphs or self.bullets or self.facts or self.missing)


@dataclass(frozen=True, slots=True)
class Card:
    title: str
    sections: tuple[Section, ...] = field(default=())
