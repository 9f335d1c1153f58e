"""What is sent under a SOPInstanceUID that is known: the same again, a correction, or another image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from apps.radiology.common.decoding import decode_apart
from apps.radiology.common.limits import file_limits
from apps.radiology.common.services.senders import Sender
from apps.radiology.common.store import film_path
from apps.radiology.intake.received import Ingested, InstanceConflict, Outcome, Received
from apps.radiology.intake.services.aside import keep_aside
from apps.radiology.intake.services.corrections import receive_correction
from apps.radiology.intake.services.rejections import receive_again
from apps.radiology.models import Instance
from ml.radiology.contracts import DicomRefused, InstanceHeader
from ml.radiology.dicom import pixel_bytes_sha256, read_header

# Where one of these differs, the pixels do.
_SHAPE = (
    "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "BitsAllocated", "PhotometricInterpretation",
)  # fmt: skip


def take_resend(known: Instance, file: Received, sender: Sender) -> Ingested:
    """Raises DicomRefused instance_conflict for other pixels, after it kept them aside."""
    if _is_aside(known, file):
        raise _conflict(file)
    if file.content_sha256 == known.content_sha256:
        return Ingested(Outcome.DUPLICATE, receive_again(known, sender))
    here = film_path(known.site, known.file_sha256)
    stored = read_header(here, file_limits())
    if not _same_pixels(here, stored, file):
        keep_aside(known, file, sender)
        raise _conflict(file)
    if replace(stored, TransferSyntaxUID="") == replace(file.header, TransferSyntaxUID=""):
        # Only written in another way.
        return Ingested(Outcome.DUPLICATE, receive_again(known, sender))
    return receive_correction(receive_again(known, sender), stored, file, sender)


def _is_aside(known: Instance, file: Received) -> bool:
    return known.kept_aside.filter(content_sha256=file.content_sha256).exists()


def _conflict(file: Received) -> InstanceConflict:
    return InstanceConflict(
        file.header, "Another image is stored under this SOPInstanceUID: this one is kept aside."
    )


def _same_pixels(here: Path, stored: InstanceHeader, file: Received) -> bool:
    """Whether a reader would see the same: the stored values and how they are shown, whatever codec holds
    them. Of several frames, and of what cannot be decoded, the very bytes are compared."""
    if any(getattr(stored, name) != getattr(file.header, name) for name in _SHAPE):
        return False
    if stored.NumberOfFrames == 1:  # only the first is decoded
        try:
            ours, theirs = decode_apart(here).image, decode_apart(file.path).image
            return ours.pixel_sha256 == theirs.pixel_sha256 and np.array_equal(ours.pixels, theirs.pixels)
        except DicomRefused:
            pass
    return pixel_bytes_sha256(here) == pixel_bytes_sha256(file.path)
