"""Addresses of DICOMweb, and its answers taken apart."""

from __future__ import annotations

import json
from email.parser import BytesParser
from typing import Any

from pydicom.dataset import Dataset

JSON = "application/dicom+json"


def study_of(data: Dataset) -> str:
    return f"studies/{data.StudyInstanceUID}"


def series_of(data: Dataset) -> str:
    return f"{study_of(data)}/series/{data.SeriesInstanceUID}"


def instance_of(data: Dataset) -> str:
    return f"{series_of(data)}/instances/{data.SOPInstanceUID}"


def uids(data: Dataset) -> tuple[str, str, str]:
    return str(data.StudyInstanceUID), str(data.SeriesInstanceUID), str(data.SOPInstanceUID)


def content(answer: Any) -> bytes:
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


def parts(answer: Any) -> list[tuple[str, bytes]]:
    """(Content-Type, content) of each part, split as a mail program would."""
    head = f"Content-Type: {answer['Content-Type']}\r\n\r\n".encode()
    message = BytesParser().parsebytes(head + content(answer))
    assert message.is_multipart()
    return [(str(part["Content-Type"]), part.get_payload(decode=True)) for part in message.get_payload()]


def read(answer: Any) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.content
    return json.loads(content(answer))
