"""What a client takes (PS3.18 8.3.3, 8.7; RFC 9110 12.5.1), against what there is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from django.http import HttpRequest
from django.utils.http import parse_header_parameters

from apps.core.errors import LynceusError
from ml.radiology.parsing import EXPLICIT_LITTLE

DICOM = "application/dicom"
DICOM_JSON = "application/dicom+json"
OCTETS = "application/octet-stream"
ANY = "*/*"
LENGTH_MAX = 4096
# PS3.18 table 8.7.3-5.
MEDIA_TYPES = {
    "1.2.840.10008.1.2.5": "image/dicom-rle",
    **dict.fromkeys(("1.2.840.10008.1.2.4." + n for n in ("50", "51", "57", "70")), "image/jpeg"),
    **dict.fromkeys(("1.2.840.10008.1.2.4." + n for n in ("80", "81")), "image/jls"),
    **dict.fromkeys(("1.2.840.10008.1.2.4." + n for n in ("90", "91")), "image/jp2"),
    **dict.fromkeys(("1.2.840.10008.1.2.4." + n for n in ("92", "93")), "image/jpx"),
    **dict.fromkeys(("1.2.840.10008.1.2.4." + n for n in ("201", "202", "203")), "image/jphc"),
}
# A comma inside quotes separates nothing.
_PIECES = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+')


@dataclass(frozen=True, slots=True)
class MediaRange:
    """`type` is what a part may be, where it is asked for in parts; `syntax` a transfer syntax, "*" for the
    stored one, empty where none is named."""

    type: str
    multipart: bool = False
    syntax: str = ""

    def takes(self, kind: str) -> bool:
        return self.type in (ANY, kind, kind.split("/")[0] + "/*")


@dataclass(frozen=True, slots=True)
class Choice:
    """How an answer's pixels are given: their media type and transfer syntax, in parts or alone."""

    type: str
    syntax: str
    multipart: bool

    @property
    def content_type(self) -> str:
        return f"{self.type}; transfer-syntax={self.syntax}"


def accepted(request: HttpRequest) -> list[MediaRange]:
    """What the client takes, the best first. The query parameter `accept` goes before the header."""
    line = request.GET.get("accept") or request.headers.get("Accept", "").strip() or ANY
    if len(line) > LENGTH_MAX:
        raise not_acceptable()
    ranked = [_range(piece) for piece in _PIECES.findall(line) if piece.strip()]
    return [one for quality, one in sorted(ranked, key=lambda pair: -pair[0]) if quality > 0]


def _range(piece: str) -> tuple[float, MediaRange]:
    kind, given = parse_header_parameters(piece.strip())
    multipart = kind == "multipart/related"
    wanted = given.get("type", ANY).lower() if multipart else kind
    try:
        quality = float(given.get("q", 1))
    except ValueError:
        quality = 1.0
    # RLE and JPEG-LS went by other names before they were registered.
    return quality, MediaRange(
        wanted.replace("image/x-", "image/"), multipart, given.get("transfer-syntax", "")
    )


def choose(ranges: Sequence[MediaRange], *, syntax: str, several: bool) -> Choice:
    """How frames stored in `syntax` are given; several of them only in parts. Raises LynceusError 406.

    The stored syntax is given to who takes anything or names it, Explicit VR Little Endian to who asks for
    octets and names none, as PS3.18 8.7.3.3.2 has it.
    """
    stored = MEDIA_TYPES.get(syntax, OCTETS)
    for one in ranges:
        multipart = one.multipart or one.type == ANY
        if several and not multipart:
            continue
        if one.type == OCTETS and one.syntax in ("", EXPLICIT_LITTLE):
            return Choice(OCTETS, EXPLICIT_LITTLE, multipart)
        if one.type == OCTETS and one.syntax in ("*", syntax):
            return Choice(OCTETS, syntax, multipart)
        if one.takes(stored) and one.syntax in ("", "*", syntax):
            return Choice(stored, syntax, multipart)
        if one.type == ANY and one.syntax == EXPLICIT_LITTLE:
            return Choice(OCTETS, EXPLICIT_LITTLE, multipart)
    raise not_acceptable()


def one_of(request: HttpRequest, *kinds: str) -> MediaRange:
    """Which of these media types the client likes best, in parts or alone. Raises LynceusError 406."""
    for one in accepted(request):
        for kind in kinds:
            if one.takes(kind):
                return MediaRange(kind, one.multipart)
    raise not_acceptable()


def json_kind(request: HttpRequest) -> str:
    return one_of(request, DICOM_JSON, "application/json").type


def takes_files(request: HttpRequest, syntaxes: set[str]) -> MediaRange:
    """Whether files may be given as they are stored, each in its own syntax. Raises LynceusError 406."""
    for one in accepted(request):
        if one.takes(DICOM) and (one.syntax in ("", "*") or syntaxes == {one.syntax}):
            return one
    raise not_acceptable()


def not_acceptable() -> LynceusError:
    return LynceusError("not_acceptable", "Nothing of what Accept names can be given here.", status=406)
