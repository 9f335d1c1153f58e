"""The size a compressed frame claims for itself, read before any decoder allocates memory for it."""

from __future__ import annotations

import struct

# Start-of-frame markers of JPEG (ITU-T T.81 table B.1) and JPEG-LS (T.87); C4, C8 and CC are no frames.
_FRAMES = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF, 0xF7})
_J2K_START = b"\xff\x4f\xff\x51"


def frame_size(codestream: bytes) -> tuple[int, int] | None:
    """(rows, columns) of a JPEG, JPEG-LS or JPEG 2000 frame; None for anything else, RLE for one."""
    if codestream[:2] == b"\xff\xd8":
        return _jpeg_size(codestream)
    at = codestream.find(_J2K_START, 0, 4096)  # a JP2 box may come first
    return _j2k_size(codestream[at:]) if at >= 0 else None


def _jpeg_size(codestream: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(codestream) and codestream[at] == 0xFF:
        marker = codestream[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        (length,) = struct.unpack_from(">H", codestream, at + 2)
        if marker in _FRAMES:
            rows, columns = struct.unpack_from(">HH", codestream, at + 5)
            return int(rows), int(columns)
        at += 2 + length
    return None


def _j2k_size(codestream: bytes) -> tuple[int, int] | None:
    """From the SIZ segment (ITU-T T.800 A.5.1): the grid less its offset."""
    if len(codestream) < 24:
        return None
    width, height, left, top = struct.unpack_from(">IIII", codestream, 8)
    return height - top, width - left
