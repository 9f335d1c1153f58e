"""The chain's head, kept outside the database and authenticated: shows when the tail was cut off."""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
from pathlib import Path

from django.conf import settings


class HeadError(Exception):
    """The head file is there and cannot be believed."""


def write_head(path: Path, count: int, sha256: str) -> None:
    """Replace the head atomically, unless it already stands further on."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (path.parent / ".head.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if read_head(path)[0] >= count:
            return
        temporary = path.with_suffix(".new")
        body = {"count": count, "sha256": sha256, "mac": _mac(count, sha256)}
        with temporary.open("w") as file:
            file.write(json.dumps(body))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)


def read_head(path: Path) -> tuple[int, str]:
    """(count, hash); (0, "") before the first seal. Raises HeadError if it was tampered with."""
    try:
        body = json.loads(path.read_text())
        count, sha256, mac = int(body["count"]), str(body["sha256"]), str(body["mac"])
    except FileNotFoundError:
        return 0, ""
    except (ValueError, KeyError, TypeError) as error:
        raise HeadError("the head outside the database is damaged") from error
    if not hmac.compare_digest(mac, _mac(count, sha256)):
        raise HeadError("the head outside the database was not written by this installation")
    return count, sha256


def _mac(count: int, sha256: str) -> str:
    return hmac.new(settings.AUDIT_KEY.encode(), f"{count}:{sha256}".encode(), hashlib.sha256).hexdigest()
