"""The decoding child: a path a line on stdin; for each an answer line on stdout, then pixels and picture."""

from __future__ import annotations

import errno
import io
import json
import os
import resource
import sys
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from ml.radiology.contracts import DicomRefused, FloatImage
from ml.radiology.dicom import decode
from ml.radiology.parsing import Limits

PICTURE_SIDE = 2048


def main(options: str) -> None:
    given = json.loads(options)
    # Codecs may print to stdout: the answers keep a descriptor of their own.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _limit(given["memory_bytes"])
    limits = Limits(**given["limits"])
    for line in sys.stdin.buffer:
        _answer(Path(json.loads(line)["path"]), limits, answers)
        answers.flush()


def _limit(memory_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _answer(path: Path, limits: Limits, answers: BinaryIO) -> None:
    try:
        image = decode(path, limits)
        picture = _png(image.pixels)
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
    answer = {"rows": rows, "columns": columns, "pixel_sha256": image.pixel_sha256}
    _say(answers, {**answer, "picture_bytes": len(picture)})
    answers.write(np.ascontiguousarray(image.pixels, np.float32).data)
    answers.write(picture)


def _say(answers: BinaryIO, words: dict[str, str | int]) -> None:
    answers.write(json.dumps(words).encode() + b"\n")


def _png(pixels: FloatImage) -> bytes:
    grey = Image.fromarray(np.clip(pixels * 255.0 + 0.5, 0, 255).astype(np.uint8))
    grey.thumbnail((PICTURE_SIDE, PICTURE_SIDE), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    grey.save(file, "PNG", compress_level=3)
    return file.getvalue()


if __name__ == "__main__":
    main(sys.argv[1])
