"""Take a large file in pieces: each is on the disk before it counts, and the next goes on from there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from apps.accounts.models import User
from apps.core.clock import now
from apps.core.errors import LynceusError
from apps.radiology.common.store import incoming_folder
from apps.radiology.intake.services.uploads import Receipt, take_file
from apps.radiology.models import PieceUpload

PIECE_BYTES = 8 * 1024**2
UNFINISHED_MAX = 20  # for one person
KEPT = timedelta(days=1)  # as store.clear_incoming is told
Answer = Callable[[Receipt], dict[str, Any]]


def begin_upload(user: User, *, name: str, size: int, fingerprint: str) -> PieceUpload:
    """A new upload, or the person's unfinished one of the same file. Raises LynceusError 413, 429."""
    if size > settings.LYNCEUS_UPLOAD_MAX_MB * 1024**2:
        limit = f"Send at most {settings.LYNCEUS_UPLOAD_MAX_MB} MiB."
        raise LynceusError("body_too_large", limit, status=413)
    mine = PieceUpload.objects.filter(user=user, answer__isnull=True)
    known = mine.filter(fingerprint=fingerprint, size=size).first()
    if known is not None and piece_path(known).exists():
        return known
    mine.filter(fingerprint=fingerprint).delete()
    if mine.count() >= UNFINISHED_MAX:
        raise LynceusError("too_many_uploads", "Finish the uploads that you began first.", status=429)
    upload = PieceUpload.objects.create(
        site=user.site, user=user, name=name[:120], size=size, fingerprint=fingerprint, touched_at=now()
    )
    piece_path(upload).touch(mode=0o600)
    return upload


def add_piece(upload: PieceUpload, piece: Path, *, at: int, answer: Answer) -> PieceUpload:
    """Append a received piece; the last one ends the upload and its `answer` is set. Raises LynceusError 409
    with `received` where `at` is not where it goes on, 413 for more than the file was to have."""
    with transaction.atomic():
        locked = PieceUpload.objects.select_for_update(of=("self",)).select_related("user")
        upload = locked.get(pk=upload.pk)
        if upload.answer is not None:
            return upload
        _check(upload, piece.stat().st_size, at)
        upload.received = _append(upload, piece)
        upload.touched_at = now()
        upload.save(update_fields=["received", "touched_at"])
    return _finish(upload, answer) if upload.received == upload.size else upload


def _check(upload: PieceUpload, size: int, at: int) -> None:
    if at != upload.received:
        where = {"received": upload.received}
        raise LynceusError("wrong_offset", "The upload goes on elsewhere.", status=409, extra=where)
    if size > min(PIECE_BYTES, upload.size - at):
        raise LynceusError("too_large", "The piece is larger than may be sent.", status=413)


def _append(upload: PieceUpload, piece: Path) -> int:
    """How much lies there now. What a process that died wrote beyond `received` is written over."""
    with piece.open("rb") as source, piece_path(upload).open("r+b") as target:
        target.seek(upload.received)
        target.truncate()
        shutil.copyfileobj(source, target)
        target.flush()
        os.fsync(target.fileno())
        return target.tell()


def _finish(upload: PieceUpload, answer: Answer) -> PieceUpload:
    """Outside the transaction of the last piece: each film of a zip commits by itself. Where the disk fails
    the file stays, and an empty piece sent at its end tries again."""
    path = piece_path(upload)
    receipts = take_file(path, upload.name, user=upload.user)
    path.unlink(missing_ok=True)
    upload.answer = [answer(receipt) for receipt in receipts]
    upload.save(update_fields=["answer"])
    return upload


def clear_uploads() -> int:
    """Forget those nobody went on with for a day."""
    old = PieceUpload.objects.filter(touched_at__lt=now() - KEPT)
    for upload in old:
        piece_path(upload).unlink(missing_ok=True)
    return old.delete()[0]


def piece_path(upload: PieceUpload) -> Path:
    return incoming_folder() / f"upload-{upload.public_id}"
