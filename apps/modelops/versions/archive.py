"""A version as one file: a tar of which every byte follows from its statement, and the statement is signed.

    statement.json          where the version comes from, and each file's size and SHA-256
    signature               an Ed25519 public key (32 bytes) and its signature of the statement (64)
    artefact/manifest.json, artefact/..., card.md

A reader asks each header and each gap to be what the writer would have written. So nothing a tar can carry
beside plain files (links, other paths, extended headers) is ever followed, and no byte can be altered.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tarfile import BLOCKSIZE, NUL, USTAR_FORMAT, HeaderError, TarInfo
from typing import Any, Protocol

from apps.core.errors import LynceusError
from apps.modelops.versions import archive_keys
from ml.common.artefact import ALLOWED, MANIFEST

FORMAT = 1
STATEMENT, SIGNATURE, CARD, FOLDER = "statement.json", "signature", "card.md", "artefact/"
NAMES = frozenset({CARD, *(FOLDER + name for name in (MANIFEST, *ALLOWED))})
NEEDED = frozenset({CARD, FOLDER + MANIFEST})
STATEMENT_MAX_BYTES = 4 * 1024**2
CHUNK_BYTES = 1024**2
END = NUL * BLOCKSIZE * 2
TEXT_MAX = 64
HASH = re.compile(r"[0-9a-f]{64}")


class Source(Protocol):
    """What an archive is read from: an open file or an upload."""

    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Listed:
    """A file of the archive."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Statement:
    """`facts`: number, variant, made_at, metrics, dataset (name, manifest_sha256, summary) and training
    (preset, params, seed), as the installation that made the archive has them. `key` signed it; `sha256` is
    the statement's own."""

    domain: str
    artefact_hash: str
    files: Mapping[str, Listed]
    facts: Mapping[str, Any]
    key: str
    sha256: str


def archived(told: Mapping[str, Any], files: Mapping[str, Path | bytes]) -> Iterator[bytes]:
    """The archive, piece by piece. `told`: domain, artefact_hash and facts."""
    listed = {name: _listed(content) for name, content in sorted(files.items())}
    said = {"format": FORMAT, "files": listed, **told}
    statement = json.dumps(said, sort_keys=True, allow_nan=False).encode()
    yield from _member(STATEMENT, len(statement), [statement])
    yield from _member(SIGNATURE, archive_keys.SIGNED_BYTES, [archive_keys.sign(statement)])
    for name, of in listed.items():
        yield from _member(name, of["size"], _pieces(files[name]))
    yield END


def unpack(source: Source, folder: Path, *, max_bytes: int) -> Statement:
    """Read the whole archive and write its files into `folder`, a new one. The statement is looked at once
    its signature was found to be one of a trusted key's.

    Raises LynceusError: archive_malformed, archive_unsigned, archive_key_unknown, archive_format_unknown,
    archive_too_many_files, archive_too_large, archive_altered.
    """
    reader = _Reader(source)
    raw = reader.first(STATEMENT, STATEMENT_MAX_BYTES)
    try:
        signed = reader.whole(SIGNATURE, archive_keys.SIGNED_BYTES)
    except LynceusError as error:
        raise _refused("unsigned", "The archive is not signed.") from error
    key = archive_keys.require_signed(raw, signed)
    statement = _read(raw, key, max_bytes)
    (folder / FOLDER).mkdir()
    for name, of in sorted(statement.files.items()):
        reader.write(name, of, folder / name)
    reader.end()
    return statement


class _Reader:
    def __init__(self, source: Source) -> None:
        self.source = source

    def first(self, name: str, max_bytes: int) -> bytes:
        """Of a file whose size its header alone tells."""
        block = self.source.read(BLOCKSIZE)
        try:
            size = TarInfo.frombuf(block, "ascii", "strict").size
        except (HeaderError, UnicodeError) as error:
            raise _refused("malformed", "This is not an archive of a version.") from error
        if not 0 < size <= max_bytes or block != _header(name, size):
            raise _refused("malformed", "This is not an archive of a version.")
        return self._content(size)

    def whole(self, name: str, size: int) -> bytes:
        self._expect(_header(name, size), name)
        return self._content(size)

    def write(self, name: str, of: Listed, path: Path) -> None:
        self._expect(_header(name, of.size), name)
        hashed, left = hashlib.sha256(), of.size
        with path.open("xb") as file:
            while left:
                piece = self.source.read(min(left, CHUNK_BYTES))
                if not piece:
                    raise _refused("malformed", "The archive was cut off.")
                hashed.update(piece)
                file.write(piece)
                left -= len(piece)
        if hashed.hexdigest() != of.sha256:
            raise _refused("altered", f"{name} was altered after the archive was signed.")
        self._expect(_gap(of.size), name)

    def end(self) -> None:
        self._expect(END, "the end")
        if self.source.read(1):
            raise _refused("malformed", "The archive holds more than its statement says.")

    def _content(self, size: int) -> bytes:
        content = self.source.read(size)
        if len(content) != size:
            raise _refused("malformed", "The archive was cut off.")
        self._expect(_gap(size), "what is between two files")
        return content

    def _expect(self, wanted: bytes, what: str) -> None:
        if wanted and self.source.read(len(wanted)) != wanted:
            raise _refused("malformed", f"The archive does not hold what its statement says: {what}.")


def _read(raw: bytes, key: str, max_bytes: int) -> Statement:
    try:
        told = json.loads(raw, parse_constant=_no_number)
        form, files = told["format"], told["files"]
        if form != FORMAT:
            raise _refused("format_unknown", f"The archive is of format {form}; this release reads {FORMAT}.")
        if len(files) > len(NAMES):
            raise _refused("too_many_files", f"The archive names more than {len(NAMES)} files.")
        listed = {name: Listed(of["sha256"], of["size"]) for name, of in files.items()}
        statement = Statement(
            told["domain"], told["artefact_hash"], listed, told["facts"], key, hashlib.sha256(raw).hexdigest()
        )
        hashes = [statement.artefact_hash, *(of.sha256 for of in listed.values())]
        well_formed = (
            isinstance(statement.domain, str)
            and all(HASH.fullmatch(one) for one in hashes)
            and all(type(of.size) is int and of.size >= 0 for of in listed.values())
            and _are_facts(statement.facts)
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _refused("malformed", "The archive's statement cannot be read.") from error
    if not well_formed:
        raise _refused("malformed", "The archive's statement cannot be read.")
    if not NEEDED <= set(listed) <= NAMES:
        raise _refused("malformed", "The archive names other files than a version has.")
    if sum(of.size for of in listed.values()) > max_bytes:
        raise _refused("too_large", f"The archive holds more than {max_bytes // 1024**2:,} MiB.")
    return statement


def _are_facts(facts: Mapping[str, Any]) -> bool:
    dataset, training = facts["dataset"], facts["training"]
    texts = (facts["variant"], dataset["name"], dataset["manifest_sha256"], training["preset"])
    mappings = (facts["metrics"], dataset["summary"], training["params"])
    return (
        all(isinstance(text, str) and len(text) <= TEXT_MAX for text in texts)
        and all(isinstance(one, dict) for one in mappings)
        and all(type(number) is int and 0 <= number < 2**31 for number in (facts["number"], training["seed"]))
        and datetime.fromisoformat(facts["made_at"]).tzinfo is not None
    )


def _no_number(name: str) -> float:
    raise ValueError(name)


def _listed(content: Path | bytes) -> dict[str, Any]:
    hashed, size = hashlib.sha256(), 0
    for piece in _pieces(content):
        hashed.update(piece)
        size += len(piece)
    return {"sha256": hashed.hexdigest(), "size": size}


def _pieces(content: Path | bytes) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    with content.open("rb") as file:
        while piece := file.read(CHUNK_BYTES):
            yield piece


def _member(name: str, size: int, pieces: Iterable[bytes]) -> Iterator[bytes]:
    yield _header(name, size)
    yield from pieces
    yield _gap(size)


def _header(name: str, size: int) -> bytes:
    entry = TarInfo(name)
    entry.size = size
    return entry.tobuf(USTAR_FORMAT)


def _gap(size: int) -> bytes:
    """Up to the next whole block."""
    return NUL * (-size % BLOCKSIZE)


def _refused(code: str, message: str) -> LynceusError:
    return LynceusError(f"archive_{code}", message, status=422)
