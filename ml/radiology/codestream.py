"""The size a compressed frame claims for itself, read before any decoder allocates memory for it."""

from __future__ import annotations

import struct
from collections.abc import Iterator

# Start-of-frame markers of JPEG (ITU-T T.81 table B.1) and JPEG-LS (T.87); C4, C8 and CC are no frames.
_FRAMES = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF, 0xF7})
_SEQUENTIAL = {0xC0, 0xC1}
_SCAN = 0xDA
_J2K_START = b"\xff\x4f\xff\x51"


def frame_size(codestream: bytes) -> tuple[int, int] | None:
    """(rows, columns) of a JPEG, JPEG-LS or JPEG 2000 frame; None for anything else, RLE for one."""
    if codestream[:2] == b"\xff\xd8":
        return _jpeg_size(codestream)
    at = codestream.find(_J2K_START, 0, 4096)  # a JP2 box may come first
    return _j2k_size(codestream[at:]) if at >= 0 else None


def with_whole_scan(codestream: bytes) -> bytes:
    """A sequential JPEG whose scan header claims no coefficients, as some modalities write it, put right.

    ITU-T T.81 B.2.3 wants 63 as the last coefficient there; strict decoders refuse anything else.
    """
    segments = dict(_jpeg_segments(codestream)) if codestream[:2] == b"\xff\xd8" else {}
    if _SCAN not in segments or not _SEQUENTIAL & segments.keys():
        return codestream
    start = segments[_SCAN]
    (length,) = struct.unpack_from(">H", codestream, start + 2)
    at = start + length  # the segment's last three bytes: first and last coefficient, approximation
    if codestream[at - 1 : at + 1] != b"\0\0":
        return codestream
    return codestream[:at] + b"\x3f" + codestream[at + 1 :]


def _jpeg_size(codestream: bytes) -> tuple[int, int] | None:
    for marker, at in _jpeg_segments(codestream):
        if marker in _FRAMES:
            rows, columns = struct.unpack_from(">HH", codestream, at + 5)
            return int(rows), int(columns)
    return None


def _jpeg_segments(codestream: bytes) -> Iterator[tuple[int, int]]:
    """Marker and place of each segment, up to the first scan."""
    at = 2
    while at + 9 <= len(codestream) and codestream[at] == 0xFF:
        marker = codestream[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        yield marker, at
        if marker == _SCAN:
            return
        (length,) = struct.unpack_from(">H", codestream, at + 2)
        at += 2 + length


def _j2k_size(codestream: bytes) -> tuple[int, int] | None:
    """From the SIZ segment (ITU-T T.800 A.5.1): the grid less its offset."""
    if len(codestream) < 24:
        return None
    width, height, left, top = struct.unpack_from(">IIII", codestream, 8)
    return height - top, width - left
