"""The document pages are written from names only parts that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs/design-system.md").read_text()


def styled_classes() -> set[str]:
    css = "".join(path.read_text() for path in (ROOT / "frontend/src/styles").glob("*.css"))
    return set(re.findall(r"\.([a-z][a-z0-9-]*)", css))


def test_every_class_in_an_example_is_styled() -> None:
    shown = {
        name for names in re.findall(r'class="([^"{]+)"', DOCUMENT) for name in re.split(r"[ |]+", names)
    }
    assert len(shown) > 30
    assert shown - styled_classes() == set()


def test_every_component_named_is_there() -> None:
    named = set(re.findall(r'"(components/[a-z_]+\.html)"', DOCUMENT))
    assert named
    assert {name for name in named if not (ROOT / "templates" / name).is_file()} == set()


def test_every_icon_promised_is_drawn() -> None:
    promised = re.search(r"Names: (.*?)\.\n", DOCUMENT, re.S)
    assert promised
    names = set(re.sub(r"\([^)]*\)", "", promised[1]).split())
    drawn = set(re.findall(r'<symbol id="([a-z]+)"', (ROOT / "frontend/static/icons.svg").read_text()))
    assert names - drawn == set()


def test_every_data_attribute_named_is_read_by_the_bundle() -> None:
    source = "".join(path.read_text() for path in (ROOT / "frontend/src").rglob("*.[tc]s*"))
    named = set(re.findall(r"\bdata-([a-z]+(?:-[a-z]+)*)\b", DOCUMENT))
    camel = {name: re.sub(r"-([a-z])", lambda m: m[1].upper(), name) for name in named}
    assert named
    assert {n for n in named if f"data-{n}" not in source and f"dataset.{camel[n]}" not in source} == set()
