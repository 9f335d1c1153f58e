"""A stored instance for a receiver that does not take its transfer syntax."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from apps.radiology.common.decoding import frame_apart
from apps.radiology.common.limits import file_limits
from apps.radiology.common.store import incoming
from apps.radiology.documents.contents import StoredFile
from ml.radiology.plain import write_plain


@contextmanager
def plain_copy(file: StoredFile, syntax: str) -> Iterator[Path]:
    """In one of `ml.radiology.plain.PLAIN`, in a file that is gone afterwards. Raises DicomRefused, OSError,
    and LynceusError as `frame_apart` does."""
    with incoming() as path:
        write_plain(file.path, path, syntax, lambda index: frame_apart(file.path, index), file_limits())
        yield path
