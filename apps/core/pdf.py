"""A document as a PDF: text that can be selected and read aloud (PDF/UA-1), fonts inside.

By Typst, a typesetter in one wheel that needs nothing of the system. What people wrote reaches it as data
and is never markup.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import structlog

log = structlog.get_logger(__name__)


def compiled(template: Path, data: dict[str, Any]) -> bytes:
    """`template` reads `data` as JSON from `sys.inputs.data`.

    What is written in letters that the fonts lack is shown as boxes: then `boxes` in the data is true, so
    that the template says so.
    """
    import typst  # for whoever asks for one

    try:
        return _compiled(template, data | {"boxes": False}, pdf_standards="ua-1")
    except typst.TypstError as error:
        # The standard allows no box in place of a letter.
        log.info("pdf_not_ua", error=type(error).__name__)
        return _compiled(template, data | {"boxes": True})


def _compiled(template: Path, data: dict[str, Any], **how: Any) -> bytes:
    import typst

    given = {"data": json.dumps(data)}
    return bytes(typst.compile(template, root=template.parent, sys_inputs=given, **how))
