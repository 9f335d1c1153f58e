"""The decoding child: a request a line on stdin; for each an answer line on stdout, then its bytes.

Requests are JSON with "want" and "path": "film" is a file's first frame, "small" or as it is shown, and its
picture; "frame" the stored
values of the frame "frame"; "picture" that frame as a picture in "format" of at most "side" pixels a side;
"redraw" a picture that was made before, in another size or format.
"""

from __future__ import annotations

import errno
import io
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from ml.radiology.contracts import DicomRefused, FloatImage
from ml.radiology.dicom import decode, decode_frame, explicit_frame, guarded
from ml.radiology.parsing import Limits
from ml.radiology.png import grey_png
from ml.radiology.transforms import shrink

PICTURE_SIDE = 3072  # most films are not larger: to make them smaller costs as much as to write them
_QUALITY = 90  # of a JPEG
_Said = tuple[dict[str, Any], list[bytes | memoryview]]


def main(options: str) -> None:
    given = json.loads(options)
    # Codecs may print to stdout: the answers keep a descriptor of their own.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _limit(given["memory_bytes"])
    limits = Limits(**given["limits"])
    for line in sys.stdin.buffer:
        _answer(json.loads(line), limits, answers)
        answers.flush()


def _limit(memory_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _answer(asked: dict[str, Any], limits: Limits, answers: BinaryIO) -> None:
    try:
        words, parts = _WORK[asked["want"]](asked, limits)
    except DicomRefused as error:
        _say(answers, {"code": error.code, "message": error.message})
        return
    except OSError as error:
        _say(answers, {"errno": error.errno or errno.EIO})
        return
    except MemoryError:
        _say(answers, {"code": "too_large", "message": "The image needs more memory than may be used."})
        return
    _say(answers, words)
    for part in parts:
        answers.write(part)


def _film(asked: dict[str, Any], limits: Limits) -> _Said:
    image = decode(Path(asked["path"]), limits)
    picture = _drawn(_grey(image.pixels), "PNG", PICTURE_SIDE)
    film = shrink(image.pixels) if asked["small"] else np.ascontiguousarray(image.pixels, np.float32)
    rows, columns = image.pixels.shape
    words = {"rows": rows, "columns": columns, "small": film.shape, "pixel_sha256": image.pixel_sha256}
    return {**words, "picture_bytes": len(picture)}, [film.data, picture]


def _frame(asked: dict[str, Any], limits: Limits) -> _Said:
    return _bytes(explicit_frame(Path(asked["path"]), asked["frame"], limits))


def _picture(asked: dict[str, Any], limits: Limits) -> _Said:
    pixels = decode_frame(Path(asked["path"]), asked["frame"], limits)
    return _bytes(_drawn(_grey(pixels), asked["format"], asked["side"]))


def _redraw(asked: dict[str, Any], limits: Limits) -> _Said:
    def work() -> bytes:
        with Image.open(asked["path"], formats=["PNG"]) as picture:
            return _drawn(picture.convert("L"), asked["format"], asked["side"])

    return _bytes(guarded(work))


def _bytes(content: bytes) -> _Said:
    return {"bytes": len(content)}, [content]


def _say(answers: BinaryIO, words: dict[str, Any]) -> None:
    answers.write(json.dumps(words).encode() + b"\n")


def _grey(pixels: FloatImage) -> Image.Image:
    scaled = pixels * np.float32(255)
    scaled += np.float32(0.5)  # in place: a film is large
    return Image.fromarray(scaled.astype(np.uint8))


def _drawn(grey: Image.Image, kind: str, side: int) -> bytes:
    """At most `side` pixels a side, and never larger than it is."""
    grey.thumbnail((min(side, PICTURE_SIDE),) * 2, Image.Resampling.LANCZOS)
    if kind == "PNG":
        return grey_png(np.asarray(grey))
    file = io.BytesIO()
    grey.save(file, kind, quality=_QUALITY)
    return file.getvalue()


_WORK = {"film": _film, "frame": _frame, "picture": _picture, "redraw": _redraw}

if __name__ == "__main__":
    main(sys.argv[1])
