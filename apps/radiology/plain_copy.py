"""A stored instance for a receiver that does not take its transfer syntax."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from apps.radiology.contents import StoredFile
from apps.radiology.decoding import frame_apart
from apps.radiology.limits import file_limits
from apps.radiology.store import incoming
from ml.radiology.plain import write_plain


@contextmanager
def plain_copy(file: StoredFile, syntax: str) -> Iterator[Path]:
    """In one of `ml.radiology.plain.PLAIN`, in a file that is gone afterwards. Raises DicomRefused, OSError,
    and LynceusError as `frame_apart` does."""
    with incoming() as path:
        write_plain(file.path, path, syntax, lambda index: frame_apart(file.path, index), file_limits())
        yield path
