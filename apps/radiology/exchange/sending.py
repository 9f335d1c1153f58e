"""One object to one PACS: by C-STORE or by STOW-RS, once, within a few seconds."""

from __future__ import annotations

import asyncio
import json
import uuid
from dataclasses import dataclass

import httpx

from apps.core.encryption import decrypt
from apps.radiology.documents.contents import StoredFile
from apps.radiology.models import Destination

CONNECT_S, ANSWER_S = 5.0, 10.0
ANSWER_MAX_BYTES = 64 * 1024
DUPLICATE = 0x0111
SAID_MAX = 60


@dataclass(frozen=True, slots=True)
class Sent:
    """`said` is the receiver's answer, or why there was none (then not `answered`)."""

    said: str
    answered: bool = True
    taken: bool = False


@dataclass(slots=True)
class _Peer:
    AETitle: str
    host: str
    port: int


def send(destination: Destination, file: StoredFile) -> Sent:
    """What is there already under its SOPInstanceUID was taken before: we are the only maker of it."""
    return _by_stow(destination, file) if destination.stow_url else _by_c_store(destination, file)


def _by_c_store(destination: Destination, file: StoredFile) -> Sent:
    from apps.radiology.exchange import scu  # not at the top: the web process sends nothing

    peer = _Peer(destination.AETitle, destination.host, destination.port or 0)
    try:
        sent = scu.store([file], peer)
    except scu.PeerFailed as failure:
        return Sent(failure.code, answered=failure.code != "away")
    [one] = sent.files
    if one.fault:
        return Sent(one.fault[:SAID_MAX])
    if (status := one.status) is None:
        return Sent("no answer", answered=False)
    return Sent(f"0x{status:04X}", taken=sent.complete or status == DUPLICATE)


def _by_stow(destination: Destination, file: StoredFile) -> Sent:
    boundary = uuid.uuid4().hex
    body = b"".join(
        [
            f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode(),
            file.path.read_bytes(),
            f"\r\n--{boundary}--\r\n".encode(),
        ]
    )
    headers = {
        "content-type": f'multipart/related; type="application/dicom"; boundary={boundary}',
        "accept": "application/dicom+json",
        "user-agent": "Lynceus",
    }
    if destination.bearer:
        token = decrypt(bytes(destination.bearer), bound_to=destination.seal)
        headers["authorization"] = f"Bearer {token}"
    try:
        status, answer = asyncio.run(_post(destination.stow_url, body, headers))
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as failure:
        return Sent(type(failure).__name__[:40], answered=False)
    reason = _failure(answer, file.SOPInstanceUID)
    said = str(status) if reason is None else f"{status} 0x{reason:04X}"
    return Sent(said, taken=reason == DUPLICATE or (reason is None and 200 <= status < 300))


async def _post(url: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
    """Status and the beginning of the answer; a redirection is not followed.

    TimeoutError after CONNECT_S and ANSWER_S in all: httpx's own limits begin anew with every byte.
    """
    answer = b""
    async with (
        asyncio.timeout(CONNECT_S + ANSWER_S),
        httpx.AsyncClient(timeout=ANSWER_S, follow_redirects=False, trust_env=False) as client,
        client.stream("POST", url, content=body, headers=headers) as response,
    ):
        async for piece in response.aiter_bytes():
            answer += piece
            if len(answer) > ANSWER_MAX_BYTES:
                break
        return response.status_code, answer


def _failure(answer: bytes, sop_instance_uid: str) -> int | None:
    """The failure reason (0008,1197) of a STOW answer for this instance; None where it names none."""
    try:
        failed = json.loads(answer)["00081198"]["Value"]
        for one in failed:
            if one["00081155"]["Value"][0] == sop_instance_uid:
                return int(one["00081197"]["Value"][0])
    except (ValueError, KeyError, IndexError, TypeError):
        return None
    return None
