"""What a study is made of, for every door that gives it out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from apps.accounts.models import User
from apps.radiology.common.selectors import instances_of
from apps.radiology.common.store import film_path
from apps.radiology.documents.reports import documents_of
from apps.radiology.documents.results import results_of
from apps.radiology.models import Instance, ReportDocument, Result, Study
from apps.radiology.studies.reads import may_see_ai


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


def stored_file(one: Instance | Result | ReportDocument) -> StoredFile:
    path = film_path(one.site, one.file_sha256)
    return StoredFile(one.SOPInstanceUID, one.SOPClassUID, one.SeriesInstanceUID, one.TransferSyntaxUID, path)


def files_of(
    study: Study, reader: User | None, series_uid: str = "", instance_uid: str = ""
) -> list[StoredFile]:
    """Every film in use, or those of one series, or one; the signed reports; and what was made of the model's
    findings, once that is open to the `reader`, if a person asks."""
    held: list[Instance | Result | ReportDocument] = [*instances_of(study), *documents_of(study, reader)]
    if may_see_ai(reader, study):
        held += results_of(study)
    files = [stored_file(one) for one in held]
    return [
        file
        for file in files
        if series_uid in ("", file.SeriesInstanceUID) and instance_uid in ("", file.SOPInstanceUID)
    ]
