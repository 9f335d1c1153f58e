"""Drawn films on their way in: dated, and given to the service that every door calls."""

from __future__ import annotations

import io
from datetime import datetime, timedelta
from pathlib import Path

import pydicom

from apps.radiology.common.services.senders import Sender
from apps.radiology.common.store import incoming
from apps.radiology.intake.services.ingest import ingest_instance
from apps.radiology.models import Instance

TAKEN_BEFORE = timedelta(minutes=12)


def dated(film: Path, received: datetime, **about: str) -> bytes:
    """The film's file as if it had been taken shortly before its receipt (else its row would tell of an exam
    clock that disagrees), with these attributes in place of its own."""
    data, at, file = pydicom.dcmread(film), received - TAKEN_BEFORE, io.BytesIO()
    data.StudyDate, data.StudyTime = f"{at:%Y%m%d}", f"{at:%H%M%S}"
    data.TimezoneOffsetFromUTC = "+0000"
    for keyword, value in about.items():
        setattr(data, keyword, value)
    data.save_as(file, enforce_file_format=True)
    return file.getvalue()


def take_in(content: bytes, sender: Sender) -> Instance:
    """Raises DicomRefused."""
    with incoming() as path:
        path.write_bytes(content)
        instance = ingest_instance(path, sender=sender).instance
    if instance is None:
        raise ValueError("A drawn film was taken for a result.")
    return instance
