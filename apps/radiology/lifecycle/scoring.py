"""What `manage.py score radiology` does: every film of a folder or tar, by the path of those that arrive."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from apps.core.words import counted
from apps.radiology.analysis.inference import Answer, Champion, admits, load_predictor, predict
from apps.radiology.common.decoding import forget_decoders, reduce_apart
from apps.radiology.common.limits import file_limits
from ml.common.contracts import ProgressCallback, ProgressEvent
from ml.common.progress import Ticker
from ml.common.worksheet import Worksheet
from ml.radiology.contracts import DicomRefused, GateVerdict, SmallFilm
from ml.radiology.dicom import gate, read_header
from ml.radiology.filmfiles import FilmFiles, opened
from ml.radiology.reading import is_picture, read_film
from ml.radiology.transforms import small

BATCH = 16
Line = dict[str, Any]
Part = Sequence[tuple[int, str]]


@dataclass(frozen=True, slots=True)
class _Refused:
    code: str
    reason: str


def score(artefact_dir: Path, options: Mapping[str, Any], out: Path, progress: ProgressCallback) -> int:
    """A line a file: its findings, or why it has none. A PNG or JPEG has no header to be gated by.

    Raises ValueError for images that are no folder or tar, or `out` begun with others, ArtefactError.
    """
    if not options["images"]:
        raise ValueError("Radiology scores images: give --images, a folder or a tar of films.")
    images = Path(options["images"])
    predictor = load_predictor(artefact_dir, options["artefact_hash"], options["variant"])
    model = Champion(options["version"], options["artefact_hash"], predictor, options["variant"])
    with ExitStack() as stack:
        files = stack.enter_context(opened(images, file_limits()))
        stack.callback(forget_decoders)
        sheet = stack.enter_context(Worksheet(out, _about(options, images, files.names)))
        pool = stack.enter_context(ThreadPoolExecutor(settings.LYNCEUS_DECODERS))
        done = sheet.done()
        waiting = [(place, name) for place, name in enumerate(files.names) if place not in done]
        ticker = Ticker(len(waiting))
        for start in range(0, len(waiting), BATCH):
            part = waiting[start : start + BATCH]
            sheet.write(_lines(model, files, part, pool))
            ticker.add(len(part))
            progress(_said(len(done) + ticker.done, len(files.names), ticker))
        return sheet.finish()


def _about(options: Mapping[str, Any], images: Path, names: list[str]) -> dict[str, Any]:
    told = {name: options[name] for name in ("version", "artefact_hash", "variant")}
    listed = hashlib.sha256("\n".join(names).encode(errors="surrogateescape")).hexdigest()
    return {**told, "images": images.name, "files": len(names), "names_sha256": listed}


def _said(done: int, of: int, ticker: Ticker) -> ProgressEvent:
    return ProgressEvent(
        "score", message=f"{done:,} of {counted(of, 'file')}", step=done, steps=of, rate=ticker.rate,
        rate_unit="films", eta_s=ticker.eta_s,
    )  # fmt: skip


def _lines(model: Champion, files: FilmFiles, part: Part, pool: ThreadPoolExecutor) -> dict[int, Line]:
    """By place: of the part together, as they would go through the network if they had arrived together."""
    names, paths, lines = dict(part), dict[int, Path](), dict[int, Line]()
    with ExitStack() as stack:
        for place, name in part:
            try:
                paths[place] = stack.enter_context(files.at(name))
            except DicomRefused as error:
                lines[place] = _without(name, "refused", error.code, error.message)
        looked = list(pool.map(lambda path: _look(model, path), paths.values()))
    films = {}
    for place, seen in zip(paths, looked, strict=True):
        if isinstance(seen, SmallFilm):
            films[place] = seen
        elif isinstance(seen, GateVerdict):
            lines[place] = _without(names[place], "not_analysed", seen.code, seen.reason)
        else:
            lines[place] = _without(names[place], "refused", seen.code, seen.reason)
    for place, answer in zip(films, predict(model, list(films.values())), strict=True):
        lines[place] = _answered(names[place], answer)
    return lines


def _look(model: Champion, path: Path) -> SmallFilm | GateVerdict | _Refused:
    """In a thread; a DICOM file is decoded in a child process, as those are that arrive."""
    try:
        if is_picture(path):
            return small(read_film(path, file_limits()).pixels)
        film, header = reduce_apart(path).film, read_header(path, file_limits())
    except DicomRefused as error:
        return _Refused(error.code, error.message)
    verdict = gate(header)
    verdict = admits(model, header) if verdict.accepted else verdict
    return film if verdict.accepted else verdict


def _without(name: str, status: str, code: str, reason: str) -> Line:
    return {"file": name, "status": status, "code": code, "reason": reason}


def _answered(name: str, answer: Answer) -> Line:
    if not answer.verdict.accepted:
        return _without(name, "not_analysed", answer.verdict.code, answer.verdict.reason)
    findings = {
        one.label: {
            "probability": one.probability, "operating_point": one.operating_point, "positive": one.positive,
        }
        for one in answer.findings
    }  # fmt: skip
    return {"file": name, "status": "analysed", "findings": findings}
