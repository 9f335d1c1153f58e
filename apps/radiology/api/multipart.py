"""Split a multipart/related body (PS3.18 8.6.1.2) into private files, a block at a time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from email.message import Message
from pathlib import Path
from typing import IO, Any

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser

from apps.core.errors import LynceusError
from apps.radiology.common.store import incoming

BLOCK = 1 << 18
PARTS_MAX = 500
HEADER_MAX = 4096


def boundary_of(content_type: str) -> bytes:
    """The boundary of multipart/related; type="application/dicom". Raises LynceusError 415."""
    message = Message()
    message["Content-Type"] = content_type
    boundary = message.get_param("boundary")
    wanted = str(message.get_param("type") or "application/dicom").lower()
    if message.get_content_type() != "multipart/related" or not _is_boundary(boundary):
        raise _unsupported('Send multipart/related; type="application/dicom" with a boundary.')
    if wanted != "application/dicom":
        raise _unsupported("Only parts of type application/dicom are taken.")
    return str(boundary).encode("ascii")


def _is_boundary(boundary: object) -> bool:
    """RFC 2046 5.1.1."""
    return isinstance(boundary, str) and boundary.isascii() and 1 <= len(boundary) <= 70


def _unsupported(message: str) -> LynceusError:
    return LynceusError("unsupported_media_type", message, status=415)


class Parts:
    """The parts of one body as files that live until the stack closes."""

    def __init__(self, boundary: bytes, stack: ExitStack, *, part_max_bytes: int) -> None:
        self.paths: list[Path] = []
        self._stack = stack
        self._part_max_bytes = part_max_bytes
        self._file: IO[bytes] | None = None
        self._written = self._header_bytes = 0
        self._ended = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._header,
                "on_header_value": self._header,
                "on_part_data": self._data,
                "on_part_end": self._end,
                "on_end": self._finished,
            },
        )

    def read(self, read: Callable[[int], bytes]) -> list[Path]:
        """Raises LynceusError for what is no multipart body, or more than may be sent."""
        try:
            while block := read(BLOCK):
                self._parser.write(block)
        except MultipartParseError as error:
            raise LynceusError("bad_multipart", "The multipart body is malformed.", status=400) from error
        if not self._ended:
            raise LynceusError("truncated_body", "The body ends before its closing boundary.", status=400)
        return self.paths

    def _begin(self) -> None:
        if len(self.paths) >= PARTS_MAX:
            raise LynceusError("too_many_parts", f"Send at most {PARTS_MAX} instances at once.", status=413)
        path = self._stack.enter_context(incoming())
        self._file = path.open("wb")
        self._stack.callback(self._file.close)
        self._written = self._header_bytes = 0
        self.paths.append(path)

    def _header(self, data: bytes, start: int, end: int) -> None:
        self._header_bytes += end - start
        if self._header_bytes > HEADER_MAX:
            raise LynceusError("bad_multipart", "A part's headers are too long.", status=400)

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._written += end - start
        if self._written > self._part_max_bytes:
            raise LynceusError("too_large", "An instance is larger than may be sent.", status=413)
        if self._file is not None:
            self._file.write(data[start:end])

    def _end(self, *args: Any) -> None:
        if self._file is not None:
            self._file.close()

    def _finished(self) -> None:
        self._ended = True
