"""Lynceus as the one who asks: C-ECHO, C-FIND, C-MOVE and C-STORE at another application entity.

Every call opens an association of its own and ends within time-outs; what comes back is another's word and is
read within limits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from django.conf import settings
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID
from pynetdicom import AE, _config

from apps.radiology.documents.contents import StoredFile
from apps.radiology.exchange.plain_copy import plain_copy
from ml.radiology.contracts import DicomRefused
from ml.radiology.dicom import text_of
from ml.radiology.plain import PLAIN

VERIFICATION = UID("1.2.840.10008.1.1")
# Study Root (PS3.4 C.6.2.3).
FIND, MOVE = UID("1.2.840.10008.5.1.4.1.2.2.1"), UID("1.2.840.10008.5.1.4.1.2.2.2")
CONNECT_S, ACSE_S, DIMSE_S, NETWORK_S = 5, 10, 30, 60
MATCHES_MAX = 5000
CONTEXTS_MAX = 128  # of one association (PS3.8 9.3.2.2)
SUCCESS, CANCEL = 0x0000, 0xFE00
Asked = dict[str, str]
Row = dict[str, str]


class Peer(Protocol):
    """Who is asked: another's AE title, and where it listens."""

    AETitle: str
    host: str
    port: int


class PeerFailed(Exception):
    """`code`: away (no line), refused (the association), broken (in the midst), status (it said no), or
    too_much (more answers than are read). `message` is for a person and names no patient."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Moved:
    """What a C-MOVE said at its end, of its sub-operations."""

    completed: int
    failed: int


@dataclass(frozen=True, slots=True)
class Stored:
    """Of one file's C-STORE: its status, None where no answer came or where it was not sent; `fault` says
    why not. A warning is stored."""

    status: int | None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Sent:
    """Of a C-STORE for each file."""

    files: tuple[Stored, ...]

    @property
    def statuses(self) -> tuple[int | None, ...]:
        return tuple(one.status for one in self.files)

    @property
    def complete(self) -> bool:
        return all(status is not None and _stored(status) for status in self.statuses)


def echo(peer: Peer) -> None:
    """Raises PeerFailed."""
    with _associated(peer, [(VERIFICATION, None)]) as line:
        _check(line.send_c_echo(), peer)


def find(peer: Peer, level: str, asked: Asked) -> list[Row]:
    """C-FIND at the Study Root: `asked` by keyword, an empty value asks for it. The answers by the same
    keywords, a text each. Raises PeerFailed."""
    query = Dataset()
    query.QueryRetrieveLevel = level
    query.SpecificCharacterSet = "ISO_IR 192"
    for keyword, value in asked.items():
        setattr(query, keyword, value.split("\\") if "\\" in value else value)
    found: list[Row] = []
    with _associated(peer, [(FIND, None)]) as line:
        for status, answer in line.send_c_find(query, FIND):
            if not _pending(status, peer) or answer is None:
                continue
            if len(found) == MATCHES_MAX:
                line.abort()
                raise PeerFailed("too_much", f"{peer.AETitle} has more than {MATCHES_MAX} matches.")
            found.append({keyword: text_of(answer, keyword) for keyword in asked})
    return found


def move(peer: Peer, level: str, asked: Asked, *, until: float, enough: Callable[[], bool]) -> Moved:
    """C-MOVE to our own listener. Cancelled once `enough()` or the monotonic clock passes `until`; what came
    by then has come. Raises PeerFailed."""
    query = Dataset()
    query.QueryRetrieveLevel = level
    for keyword, value in asked.items():
        setattr(query, keyword, value)
    completed = failed = 0
    cancelled = False
    with _associated(peer, [(MOVE, None)]) as line:
        for status, _ in line.send_c_move(query, settings.LYNCEUS_DICOM_AET, MOVE, msg_id=1):
            going_on = _pending(status, peer, also=(CANCEL, 0xB000))
            completed = int(status.get("NumberOfCompletedSuboperations", completed) or 0)
            failed = int(status.get("NumberOfFailedSuboperations", failed) or 0)
            if going_on and not cancelled and (time.monotonic() > until or enough()):
                line.send_c_cancel(1, query_model=MOVE)
                cancelled = True
    return Moved(completed, failed)


def store(files: Sequence[StoredFile], peer: Peer) -> Sent:
    """C-STORE each file, of at most 128 kinds: as it lies, or where the peer does not take its transfer
    syntax, with its pixels unpacked, in Explicit or Implicit VR Little Endian. Raises PeerFailed where no
    line comes about, or the peer takes nothing of it."""
    kinds = sorted({(file.SOPClassUID, file.TransferSyntaxUID) for file in files})
    asked = dict.fromkeys([*kinds, *((kind, syntax) for kind, _ in kinds for syntax in PLAIN)])
    with _associated(peer, list(asked)[:CONTEXTS_MAX]) as line:
        return Sent(tuple(_store_one(line, file) for file in files))


def _store_one(line: Any, file: StoredFile) -> Stored:
    if not line.is_established:
        return Stored(None)
    taken = _syntaxes_taken(line, file.SOPClassUID)
    if file.TransferSyntaxUID in taken:
        return Stored(_send(line, file.path))
    plain = next((syntax for syntax in PLAIN if syntax in taken), None)
    if plain is None:
        return Stored(None, f"takes no transfer syntax of {UID(file.SOPClassUID).name}")
    try:
        with plain_copy(file, plain) as path:
            return Stored(_send(line, path))
    except DicomRefused as refused:
        return Stored(None, f"takes {UID(plain).name}: {refused.message}")


def _syntaxes_taken(line: Any, sop_class_uid: str) -> set[str]:
    accepted = (one for one in line.accepted_contexts if one.abstract_syntax == sop_class_uid)
    return {str(one.transfer_syntax[0]) for one in accepted}


def _send(line: Any, path: Path) -> int | None:
    try:
        return getattr(line.send_c_store(path), "Status", None)
    except (ValueError, InvalidDicomError):  # it names another class than its content; it has no preamble
        return None


def _stored(status: int) -> bool:
    """Success, or a warning: 0x0001, 0x0107, 0x0116 and 0xBxxx (PS3.7 annex C)."""
    return status in (SUCCESS, 0x0001, 0x0107, 0x0116) or status >> 12 == 0xB


@contextmanager
def _associated(peer: Peer, contexts: Sequence[tuple[str, str | None]]) -> Iterator[Any]:
    _config.LOG_HANDLER_LEVEL = "none"  # identifiers would be logged
    _config.STORE_SEND_CHUNKED_DATASET = True  # a file's size never is the process's memory
    entity = AE(ae_title=settings.LYNCEUS_DICOM_AET)
    entity.connection_timeout, entity.acse_timeout = CONNECT_S, ACSE_S
    entity.dimse_timeout, entity.network_timeout = DIMSE_S, NETWORK_S
    for name, syntax in contexts:
        entity.add_requested_context(name, syntax)
    line = entity.associate(peer.host, peer.port, ae_title=peer.AETitle)
    if not line.is_established:
        raise _no_line(peer, line, contexts)
    try:
        yield line
    finally:
        if line.is_established:
            line.release()


def _names(contexts: Sequence[tuple[str, str | None]]) -> str:
    """What was proposed, for a person: PS3.6's names."""
    kinds = dict.fromkeys(UID(kind).name for kind, _ in contexts)
    syntaxes = dict.fromkeys(UID(syntax).name for _, syntax in contexts if syntax)
    return ", ".join(kinds) + (f" in {', '.join(syntaxes)}" if syntaxes else "")


def _no_line(peer: Peer, line: Any, contexts: Sequence[tuple[str, str | None]]) -> PeerFailed:
    if line.rejected_contexts:  # all of them: then pynetdicom ends the association by itself
        return PeerFailed("refused", f"{peer.AETitle} does not offer {_names(contexts)}.")
    if line.is_rejected:
        return PeerFailed("refused", f"{peer.AETitle} refused the association: does it know our AE title?")
    return PeerFailed("away", f"{peer.AETitle} does not answer.")


def _pending(status: Any, peer: Peer, also: tuple[int, ...] = ()) -> bool:
    """Whether there is more to come. Raises PeerFailed unless the end is a success, or one of `also`."""
    code = getattr(status, "Status", None)
    if code in (0xFF00, 0xFF01):
        return True
    if code not in also:
        _check(status, peer)
    return False


def _check(status: Any, peer: Peer) -> None:
    code = getattr(status, "Status", None)
    if code is None:
        raise PeerFailed("broken", f"{peer.AETitle} hung up, or did not answer in time.")
    if code != SUCCESS:
        raise PeerFailed("status", f"{peer.AETitle} answered with status 0x{code:04X}.")
