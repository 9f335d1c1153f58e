"""What the film viewer of a study's page is given: where films lie in DICOMweb, and which are prior."""

from __future__ import annotations

from dataclasses import dataclass

from django.urls import reverse

from apps.radiology.common.selectors import first_to_show, instances_of
from apps.radiology.models import Instance, Study
from apps.radiology.studies.changes import other_studies_of


@dataclass(frozen=True, slots=True)
class Prior:
    """An earlier study of the same patient and the film that stands for it."""

    study: Study
    film: Instance
    address: str


def address_of(film: Instance | None) -> str:
    """Of the instance in DICOMweb, below which lie its metadata, frames and pictures; empty for none."""
    if film is None:
        return ""
    uids = [film.study.StudyInstanceUID, film.SeriesInstanceUID, film.SOPInstanceUID]
    return reverse("dicomweb:instance", args=uids)


def priors_of(study: Study) -> list[Prior]:
    """The latest first. What was made after this study is none; what has no date is left to its name."""
    shown = []
    for other in other_studies_of(study):
        if other.StudyDate and study.StudyDate and other.StudyDate > study.StudyDate:
            continue
        film = first_to_show(instances_of(other))
        if film is not None and film.has_picture:
            shown.append(Prior(other, film, address_of(film)))
    return shown


def next_address(study: Study | None) -> str:
    """Of the film that opens with this study, where it can be shown already."""
    film = first_to_show(instances_of(study)) if study else None
    return address_of(film) if film and film.has_picture else ""
