"""Decode in a child process that may use only so much memory and time, and can do no harm by dying."""

from __future__ import annotations

import fcntl
import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ml.radiology.contracts import DecodedImage, DicomRefused, SmallFilm
from ml.radiology.parsing import Limits
from ml.radiology.transforms import FROZEN_SIDE

ROOT = Path(__file__).resolve().parents[2]
FILES_A_CHILD = 200
ANSWER_BYTES_MAX = 4096
PICTURE_BYTES_MAX = 32 * 1024**2
PIPE_BYTES = 1024**2  # a film in a few pieces
Got = TypeVar("Got", bytes, int)
_Taken = TypeVar("_Taken")


@dataclass(frozen=True, slots=True)
class Decoded:
    """`picture` is an 8-bit greyscale PNG of the film, at most 3072 pixels a side."""

    image: DecodedImage
    picture: bytes


@dataclass(frozen=True, slots=True)
class Reduced:
    """As much of a decoded film as a network and a person see; `pixel_sha256` and `picture` as of Decoded."""

    film: SmallFilm
    pixel_sha256: str
    picture: bytes


class ChildEnded(Exception):
    """The child died, or said what it may not say."""


class TookTooLong(ChildEnded):
    """The child did not answer in time."""


class DiskFailed(OSError):
    """The child could not read the file: no fault of the file's."""


class IsolatedDecoder:
    """One child, started at the first file, replaced when it dies and after `FILES_A_CHILD` files.

    The child has no environment but what it needs, cannot write files, and may map `memory_bytes`. Safe to
    share between threads: one file at a time.
    """

    def __init__(self, limits: Limits, *, memory_bytes: int, timeout_s: float) -> None:
        self._limits = limits
        self._memory_bytes = memory_bytes
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._files = 0
        self._held = b""  # read from the pipe, not yet asked for

    def decode(self, path: Path) -> Decoded:
        """As `ml.radiology.dicom.decode`, with the picture. Raises DicomRefused, and OSError where the disk
        failed or no child can be started."""
        return self._ask_again({"want": "film", "path": str(path), "small": False}, self._take_film)

    def reduce(self, path: Path) -> Reduced:
        """As `decode`, but the child makes the film small before it sends it over."""
        return self._ask_again({"want": "film", "path": str(path), "small": True}, self._take_small)

    def frame(self, path: Path, index: int) -> bytes:
        """As `ml.radiology.dicom.explicit_frame`."""
        asked = {"want": "frame", "path": str(path), "frame": index}
        return self._ask_again(asked, self._take_bytes(self._limits.max_decoded_bytes))

    def picture(self, path: Path, index: int, *, kind: str, side: int) -> bytes:
        """Any frame as an 8-bit greyscale picture, a "PNG" or "JPEG" of at most `side` pixels a side."""
        asked = {"want": "picture", "path": str(path), "frame": index, "format": kind, "side": side}
        return self._ask_again(asked, self._take_bytes(PICTURE_BYTES_MAX))

    def redraw(self, picture: Path, *, kind: str, side: int) -> bytes:
        """A picture that the child made before, in another format or smaller."""
        asked = {"want": "redraw", "path": str(picture), "format": kind, "side": side}
        return self._ask_again(asked, self._take_bytes(PICTURE_BYTES_MAX))

    def start(self) -> None:
        """Start the child now, so that the first film need not wait for it."""
        with self._lock:
            if self._child is None:
                self._child, self._files = self._start(), 0

    def close(self) -> None:
        with self._lock:
            self._end()

    def _ask_again(self, asked: dict[str, Any], take: Callable[[dict[str, Any], float], _Taken]) -> _Taken:
        with self._lock:
            try:
                return self._ask(asked, take)
            except TookTooLong as error:
                raise DicomRefused("undecodable", str(error)) from None
            except ChildEnded:
                # Once more in a fresh child: the last one may have died of something else.
                try:
                    return self._ask(asked, take)
                except ChildEnded as error:
                    raise DicomRefused("undecodable", str(error)) from None

    def _ask(self, asked: dict[str, Any], take: Callable[[dict[str, Any], float], _Taken]) -> _Taken:
        if self._child is None or self._child.poll() is not None or self._files >= FILES_A_CHILD:
            self._end()
            self._child, self._files = self._start(), 0
        self._files += 1
        try:
            deadline = time.monotonic() + self._timeout_s
            if self._child.stdin is None:
                raise ChildEnded("The decoder could not be started.")
            self._child.stdin.write(json.dumps(asked).encode() + b"\n")
            self._child.stdin.flush()
            answer = json.loads(self._read_line(deadline))
            if "errno" in answer:
                raise DiskFailed(int(answer["errno"]), "the film could not be read from the disk")
            if "code" in answer:
                raise DicomRefused(answer["code"], answer["message"])
            return take(answer, deadline)
        except (DicomRefused, DiskFailed):
            raise
        except ChildEnded:
            self._end()
            raise
        except (BrokenPipeError, ValueError, TypeError, KeyError):
            self._end()
            raise ChildEnded("The image made the decoder fail.") from None
        except BaseException:
            # Interrupted half way: what the child says next must not pass for the next file's answer.
            self._end()
            raise

    # A child that a file took over may lie: it must not fill the process's memory.

    def _take_film(self, answer: dict[str, Any], deadline: float) -> Decoded:
        rows, columns = self._size_told(answer)
        pixels = self._read(rows * columns * 4, deadline)
        picture = bytes(self._read(answer["picture_bytes"], deadline))
        image = np.frombuffer(pixels, np.float32).reshape(rows, columns)
        return Decoded(DecodedImage(image, answer["pixel_sha256"]), picture)

    def _take_small(self, answer: dict[str, Any], deadline: float) -> Reduced:
        shape, (rows, columns) = self._size_told(answer), answer["small"]
        if not (0 < rows <= FROZEN_SIDE and 0 < columns <= FROZEN_SIDE):
            raise ValueError("not what a decoder answers")
        pixels = self._read(rows * columns, deadline)
        picture = bytes(self._read(answer["picture_bytes"], deadline))
        film = SmallFilm(np.frombuffer(pixels, np.uint8).reshape(rows, columns), shape)
        return Reduced(film, answer["pixel_sha256"], picture)

    def _size_told(self, answer: dict[str, Any]) -> tuple[int, int]:
        rows, columns, picture_bytes = answer["rows"], answer["columns"], answer["picture_bytes"]
        if not (0 < rows * columns <= self._limits.max_pixels and 0 < picture_bytes <= PICTURE_BYTES_MAX):
            raise ValueError("not what a decoder answers")
        return rows, columns

    def _take_bytes(self, most: int) -> Callable[[dict[str, Any], float], bytes]:
        def take(answer: dict[str, Any], deadline: float) -> bytes:
            if not 0 < answer["bytes"] <= most:
                raise ValueError("not what a decoder answers")
            return bytes(self._read(answer["bytes"], deadline))

        return take

    def _start(self) -> subprocess.Popen[bytes]:
        options = json.dumps({"memory_bytes": self._memory_bytes, "limits": asdict(self._limits)})
        child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", "ml.radiology.decoder", options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=ROOT,
            # No secret of the worker reaches a process that parses strangers' bytes.
            env={"PATH": os.defpath, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        if child.stdout is not None and hasattr(fcntl, "F_SETPIPE_SZ"):
            with suppress(PermissionError):  # where a user may not have so much in pipes
                fcntl.fcntl(child.stdout, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        return child

    def _end(self) -> None:
        if self._child is None:
            return
        self._held = b""
        self._child.kill()
        self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:  # what was still to be flushed to the dead child
                    continue
        self._child = None

    def _read_line(self, deadline: float) -> bytes:
        while b"\n" not in self._held:
            if len(self._held) > ANSWER_BYTES_MAX:
                raise ValueError("not what a decoder answers")
            self._await(deadline)
            self._held += self._got(os.read(self._pipe, ANSWER_BYTES_MAX))
        line, _, self._held = self._held.partition(b"\n")
        return line

    def _read(self, size: int, deadline: float) -> bytearray:
        data = bytearray(size)
        at = min(size, len(self._held))
        data[:at], self._held = self._held[:at], self._held[at:]
        with memoryview(data) as view:
            while at < size:
                self._await(deadline)
                at += self._got(os.readv(self._pipe, [view[at:]]))
        return data

    def _await(self, deadline: float) -> None:
        poll = select.poll()
        poll.register(self._pipe, select.POLLIN)
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise TookTooLong("Decoding the image took too long.")

    def _got(self, read: Got) -> Got:
        if not read:
            raise ChildEnded("The image made the decoder fail.")
        return read

    @property
    def _pipe(self) -> int:
        if self._child is None or self._child.stdout is None:
            raise ChildEnded("The decoder could not be started.")
        return self._child.stdout.fileno()
