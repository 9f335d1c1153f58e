"""The decoding child: a path a line on stdin; for each an answer line on stdout, then pixels and picture."""

from __future__ import annotations

import errno
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from ml.radiology.contracts import DicomRefused, FloatImage
from ml.radiology.dicom import decode
from ml.radiology.parsing import Limits
from ml.radiology.png import grey_png
from ml.radiology.transforms import shrink

PICTURE_SIDE = 3072  # most films are not larger: to make them smaller costs as much as to write them


def main(options: str) -> None:
    given = json.loads(options)
    # Codecs may print to stdout: the answers keep a descriptor of their own.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _limit(given["memory_bytes"])
    limits = Limits(**given["limits"])
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        _answer(Path(asked["path"]), limits, answers, small=asked["small"])
        answers.flush()


def _limit(memory_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _answer(path: Path, limits: Limits, answers: BinaryIO, *, small: bool) -> None:
    try:
        image = decode(path, limits)
        film = shrink(image.pixels) if small else image.pixels
        picture = picture_of(image.pixels)
    except DicomRefused as error:
        _say(answers, {"code": error.code, "message": error.message})
        return
    except OSError as error:
        _say(answers, {"errno": error.errno or errno.EIO})
        return
    except MemoryError:
        _say(answers, {"code": "too_large", "message": "The image needs more memory than may be used."})
        return
    rows, columns = image.pixels.shape
    answer = {"rows": rows, "columns": columns, "small": film.shape, "pixel_sha256": image.pixel_sha256}
    _say(answers, {**answer, "picture_bytes": len(picture)})
    answers.write(np.ascontiguousarray(film).data)
    answers.write(picture)


def _say(answers: BinaryIO, words: dict[str, Any]) -> None:
    answers.write(json.dumps(words).encode() + b"\n")


def picture_of(pixels: FloatImage) -> bytes:
    """An 8-bit greyscale PNG, no side longer than PICTURE_SIDE."""
    scaled = pixels * np.float32(255)
    scaled += np.float32(0.5)  # in place: a film is large
    grey = scaled.astype(np.uint8)
    if max(grey.shape) > PICTURE_SIDE:
        image = Image.fromarray(grey)
        image.thumbnail((PICTURE_SIDE, PICTURE_SIDE), Image.Resampling.LANCZOS)
        grey = np.asarray(image)
    return grey_png(grey)


if __name__ == "__main__":
    main(sys.argv[1])
