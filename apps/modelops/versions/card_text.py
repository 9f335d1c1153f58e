"""A model card as Markdown, to be kept beside a report or in a repository."""

from __future__ import annotations

import re

from apps.modelops.common.measures import Cell, Table
from apps.modelops.templatetags.training import figure
from apps.modelops.versions.card_parts import Card, Section

SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#])")


def markdown_of(card: Card) -> str:
    parts = [f"# {_plain(card.title)}"]
    for section in card.sections:
        parts += _section(section)
    return "\n\n".join(parts) + "\n"


def _section(section: Section) -> list[str]:
    parts = [f"## {_plain(section.title)}", *map(_plain, section.paragraphs)]
    if section.bullets:
        parts.append("\n".join(f"- {_plain(one)}" for one in section.bullets))
    if section.facts:
        parts.append("\n".join(f"- **{_plain(one.name)}**: {_plain(one.value)}" for one in section.facts))
    for table in (*section.tables, *section.charted):
        parts += [] if table.title == section.title else [f"### {_plain(table.title)}"]
        parts.append(_table(table))
    return [*parts, *([f"*{_plain(section.missing)}*"] if section.missing else [])]


def _table(table: Table) -> str:
    lines = [_line(["", *map(_plain, table.columns)]), _line(["---", *["---:"] * len(table.columns)])]
    lines += [_line([_plain(row.title), *(_cell(cell) for _, cell in row.cells)]) for row in table.rows]
    return "\n".join(lines) if table.rows else "Nothing was measured."


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return "\u2013"
    told = figure(cell.value)
    return told if cell.low is None else f"{told} ({figure(cell.low)} to {figure(cell.high)})"


def _plain(text: str) -> str:
    """What stands in data (a finding's name) shall mean nothing to who reads Markdown."""
    return SPECIAL.sub(r"\\\1", " ".join(text.split()))
