from __future__ import annotations

from django.conf import settings

from ml.radiology.parsing import Limits


def file_limits() -> Limits:
    """What one DICOM file may cost, from the settings."""
    return Limits(max_file_bytes=settings.LYNCEUS_DICOM_FILE_MAX_MB * 1024**2)
