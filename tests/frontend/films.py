"""A stored film behind the addresses of our WADO-RS, answered by the code the doors call, and its screen."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from django.template.loader import render_to_string
from PIL import Image
from playwright.sync_api import Page, Route, expect

from ml.radiology.contracts import DicomRefused
from ml.radiology.dicom import decode, explicit_frame
from ml.radiology.dicomjson import bulk_value, header_json
from ml.radiology.parsing import Limits

ADDRESS = "/dicom-web/studies/1.1/series/1.2/instances/1.3"
PRIOR = "/dicom-web/studies/2.1/series/2.2/instances/2.3"
Grey = npt.NDArray[np.uint8]
Answer = tuple[int, str, bytes]
Doors = dict[str, Callable[[Route], Answer]]
# 24 x 24 means: each renderer interpolates single pixels its own way.
BLOCKS = 24


def viewer(**changes: Any) -> str:
    """The product's own markup."""
    given = {"shown": {"public_id": "one"}, "film_address": ADDRESS, "next_address": "", "priors": []}
    return render_to_string("radiology/viewer.html", {**given, **changes})


def doors(path: Path, address: str = ADDRESS) -> Doors:
    places: list[str] = []

    def bulk(place: str) -> str:
        places.append(place)
        return f"http://lynceus.test{address}/bulkdata/{place}"

    header = json.dumps([header_json(path, Limits(), bulk)]).encode()
    found = {
        f"{address}/metadata": (200, "application/dicom+json", header),
        f"{address}/frames/1": _frame(path),
        f"{address}/frames/1/rendered": (200, "image/png", png(picture(path))),
        f"{address}/thumbnail": (200, "image/png", png(picture(path)[::4, ::4])),
    }
    for place in places:
        value = bulk_value(path, Limits(), place) if not place.startswith("7FE0") else None
        if value is not None:
            found[f"{address}/bulkdata/{place}"] = (200, "application/octet-stream", value)
    return {url: lambda route, answer=answer: answer for url, answer in found.items()}


def _frame(path: Path) -> Answer:
    try:
        return 200, "application/octet-stream", explicit_frame(path, 0, Limits())
    except DicomRefused as error:
        return 406, "application/problem+json", json.dumps({"detail": error.message}).encode()


def picture(path: Path) -> Grey:
    """What the model is given and the rest of the product shows."""
    return np.clip(decode(path).pixels * 255 + 0.5, 0, 255).astype(np.uint8)


def png(grey: Grey) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(grey)).save(out, "PNG")
    return out.getvalue()


def wait(page: Page) -> None:
    expect(page.locator(".viewer[data-ready]")).to_be_visible(timeout=20_000)


def screen(page: Page, pane: int = 0) -> Grey:
    """What is drawn of the film, without the words on it."""
    canvas = page.locator(".film .screen canvas").nth(pane)
    shot = canvas.evaluate(
        "canvas => new Promise(done => requestAnimationFrame(() => done(canvas.toDataURL())))"
    )
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(shot.split(",")[1]))).convert("L"))


def fitted(page: Page, grey: Grey) -> tuple[Grey, Grey]:
    """The film's part of the screen, and this picture of it, both in blocks."""
    seen = screen(page)
    scale = min(seen.shape[0] / grey.shape[0], seen.shape[1] / grey.shape[1])
    rows, columns = round(grey.shape[0] * scale), round(grey.shape[1] * scale)
    top, left = (seen.shape[0] - rows) // 2, (seen.shape[1] - columns) // 2
    return blocks(seen[top : top + rows, left : left + columns]), blocks(grey)


def blocks(grey: Grey) -> Grey:
    """Without the outermost, into which renderers mix the black beside the film."""
    whole = Image.fromarray(np.ascontiguousarray(grey)).resize((BLOCKS, BLOCKS), Image.Resampling.BOX)
    return np.asarray(whole)[1:-1, 1:-1]


def apart(one: Grey, other: Grey) -> int:
    """The largest difference, in 8-bit grey levels."""
    return int(np.abs(one.astype(int) - other.astype(int)).max())
