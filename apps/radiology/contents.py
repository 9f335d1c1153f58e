"""What a study is made of, for every door that gives it out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from apps.radiology.models import Study
from apps.radiology.selectors import instances_of
from apps.radiology.store import film_path


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One SOP instance as it lies on the disk."""

    SOPInstanceUID: str
    SOPClassUID: str
    SeriesInstanceUID: str
    TransferSyntaxUID: str
    path: Path

    @property
    def below_study(self) -> str:
        """Its place in a DICOMweb address, after the study's."""
        return f"series/{self.SeriesInstanceUID}/instances/{self.SOPInstanceUID}"


def files_of(study: Study, series_uid: str = "", instance_uid: str = "") -> list[StoredFile]:
    """Every instance in use, or those of one series, or one."""
    files = [
        StoredFile(
            film.SOPInstanceUID,
            film.SOPClassUID,
            film.SeriesInstanceUID,
            film.TransferSyntaxUID,
            film_path(film.site, film.file_sha256),
        )
        for film in instances_of(study)
    ]
    return [
        file
        for file in files
        if series_uid in ("", file.SeriesInstanceUID) and instance_uid in ("", file.SOPInstanceUID)
    ]
