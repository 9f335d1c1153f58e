"""Single examples of a frozen dataset, as a domain's own module (`Domain.examples`) knows them.

described(dataset: DatasetSnapshot, rows: Sequence[int]) -> list[Described]     reads the dataset's files
links(dataset: DatasetSnapshot, keys: Sequence[str]) -> Mapping[str, Link]      looks into the database
picture(dataset: DatasetSnapshot, row: int) -> bytes | None                     a PNG; where it is a picture
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from apps.modelops.models import DatasetSnapshot
from apps.modelops.registry import Domain, load


@dataclass(frozen=True, slots=True)
class Described:
    """`key` is what the example is known by in the database, "" where it never was there."""

    title: str
    facts: tuple[tuple[str, str], ...] = ()
    key: str = ""
    has_picture: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """The page of what the database still has of it, and for whom that page opens."""

    href: str
    opens_for: str


def described(domain: Domain, dataset: DatasetSnapshot, rows: Sequence[int]) -> list[Described]:
    """By their row's number alone where the domain or this machine does not have more."""
    if not rows:
        return []
    try:
        found: list[Described] = (
            load(f"{domain.examples}:described")(dataset, rows) if domain.examples else []
        )
    except FileNotFoundError:
        found = []
    return found or [Described(f"Row {row}") for row in rows]


def links(domain: Domain, dataset: DatasetSnapshot, keys: Sequence[str]) -> dict[str, Link]:
    wanted = sorted({key for key in keys if key})
    return dict(load(f"{domain.examples}:links")(dataset, wanted)) if domain.examples and wanted else {}


def picture(domain: Domain, dataset: DatasetSnapshot, row: int) -> bytes | None:
    """The PNG of one example, None where there is none."""
    if not domain.has_pictures:
        return None
    try:
        made: bytes | None = load(f"{domain.examples}:picture")(dataset, row)
    except FileNotFoundError:
        return None
    return made
