"""Standard Webhooks (version 1.0.0 of the specification): who sent these bytes, and when.

A replay inside the tolerance does no harm: events are idempotent by source and event id.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Iterable, Mapping

from apps.core.clock import now
from apps.core.errors import LynceusError

TOLERANCE_S = 300
PREFIX = "whsec_"
_SIGNATURES_MAX = 10


def new_secret() -> str:
    return PREFIX + base64.b64encode(os.urandom(32)).decode()


def sign(secret: str, webhook_id: str, timestamp_s: int, body: bytes) -> str:
    """The value of the header `webhook-signature` for this message."""
    return "v1," + base64.b64encode(_mac(decode_secret(secret), webhook_id, str(timestamp_s), body)).decode()


def decode_secret(secret: str) -> bytes:
    """The key inside `whsec_` + base64. ValueError if it is not that."""
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("a webhook secret is whsec_ and base64") from None


def verify(headers: Mapping[str, str], body: bytes, secrets: Iterable[str]) -> None:
    """Return if one signature fits one of the secrets and the timestamp is fresh; else LynceusError 401."""
    webhook_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    given = headers.get("webhook-signature", "")
    if not (webhook_id and timestamp and given):
        raise _refusal("missing_signature", "The webhook headers are incomplete.")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise _refusal("bad_timestamp", "The webhook timestamp is not a number of seconds.")
    if abs(now().timestamp() - int(timestamp)) > TOLERANCE_S:
        raise _refusal("stale_timestamp", f"The webhook timestamp is more than {TOLERANCE_S} s off.")
    expected = [_mac(decode_secret(secret), webhook_id, timestamp, body) for secret in secrets]
    # Every pair is compared, so that the time taken says nothing about which one fits.
    fits = False
    for signature in _decode(given):
        for mac in expected:
            fits |= hmac.compare_digest(signature, mac)
    if not fits:
        raise _refusal("wrong_signature", "The webhook signature does not fit.")


def _decode(header: str) -> list[bytes]:
    found = []
    for part in header.split(" ")[:_SIGNATURES_MAX]:
        version, _, value = part.partition(",")
        if version == "v1":
            try:
                found.append(base64.b64decode(value, validate=True))
            except (binascii.Error, ValueError):
                continue
    return found


def _mac(key: bytes, webhook_id: str, timestamp: str, body: bytes) -> bytes:
    content = f"{webhook_id}.{timestamp}.".encode("utf-8", "surrogateescape") + body
    return hmac.digest(key, content, hashlib.sha256)


def _refusal(code: str, message: str) -> LynceusError:
    return LynceusError(code, message, status=401)
