"""The bundle is built, self-contained, and starts once whatever name the entry is served under."""

from __future__ import annotations

import json
import re
from pathlib import Path

from django.test import Client

ROOT = Path(__file__).resolve().parents[2]
DIST = ROOT / "frontend/dist"


def manifest() -> dict[str, dict]:
    return json.loads((DIST / ".vite/manifest.json").read_text())


def test_a_page_links_files_that_the_build_made(client: Client, db: None) -> None:
    page = client.get("/accounts/login/").content.decode()
    linked = re.findall(r'(?:src|href)="/static/(assets/[^"]+)"', page)
    assert any(name.endswith(".js") for name in linked)
    assert any(name.endswith(".css") for name in linked)
    assert [name for name in linked if not (DIST / name).is_file()] == []


def test_charts_and_viewer_are_loaded_only_where_wanted() -> None:
    entry = manifest()["src/main.ts"]
    assert set(entry["dynamicImports"]) == {"src/charts.ts", "src/viewer/film.ts", "src/viewer/index.ts"}
    assert (DIST / entry["file"]).stat().st_size < 120_000


def test_no_lazy_chunk_imports_the_entry() -> None:
    """Manifest storage serves the entry under a second name; an import by the first would run it again."""
    built = manifest()
    lazy = [chunk for chunk in built.values() if chunk.get("isDynamicEntry")]
    assert lazy
    for chunk in lazy:
        assert "src/main.ts" not in chunk.get("imports", [])


def test_nothing_is_fetched_from_elsewhere() -> None:
    css = "".join(path.read_text() for path in (DIST / "assets").glob("*.css"))
    urls = re.findall(r"url\(([^)]+)\)", css)
    assert urls
    assert [url for url in urls if not url.strip("\"'").startswith("/static/")] == []


def test_the_lock_file_names_no_registry() -> None:
    text = (ROOT / "frontend/package-lock.json").read_text()
    assert '"integrity"' in text
    assert "resolved" not in text
