"""May the model judge this image? Only frontal chest radiographs, as their headers declare them."""

from __future__ import annotations

import re
from datetime import date

from ml.radiology.ages import age_years
from ml.radiology.contracts import GateVerdict, InstanceHeader

RADIOGRAPHY = frozenset({"CR", "DX", "RG"})
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
CHEST = re.compile(r"CHEST|THORA|LUNG|TORAX|TÓRAX|POUMON", re.IGNORECASE)
FRONTAL = re.compile(r"PA|AP|(POSTERO|ANTERO)[- ]?(ANTERIOR|POSTERIOR)( PROJECTION)?", re.IGNORECASE)
LATERAL = re.compile(r"LL|RL|((LEFT|RIGHT)[- ]?)?LAT(ERAL)?", re.IGNORECASE)
MIN_SIDE = 64


def gate(header: InstanceHeader) -> GateVerdict:
    """Accepts or gives the first reason not to, as a sentence for a radiologist."""
    for check in (_origin, _acquisition, _pixels, _body_part, _view, _provenance):
        if (verdict := check(header)) is not None:
            return verdict
    return GateVerdict(True)


def _not(code: str, reason: str) -> GateVerdict:
    return GateVerdict(False, code, f"Not analysed: {reason}")


def _origin(header: InstanceHeader) -> GateVerdict | None:
    """A result is never analysed again, whatever else its header says."""
    return _not("result", "the image is itself a result of an analysis.") if header.is_result else None


def _acquisition(header: InstanceHeader) -> GateVerdict | None:
    if header.Modality.upper() not in RADIOGRAPHY:
        return _not("modality", "the image is not a radiograph (CR, DX).")
    if header.NumberOfFrames > 1:
        return _not("multi_frame", "the file holds several frames, not one radiograph.")
    if header.PresentationIntentType.upper() == "FOR PROCESSING":
        return _not("for_processing", "this is raw detector data, not the image for presentation.")
    return None


def _pixels(header: InstanceHeader) -> GateVerdict | None:
    if header.PhotometricInterpretation not in ("MONOCHROME1", "MONOCHROME2"):
        return _not("not_grayscale", "the image is not grayscale.")
    sides = sorted((header.Rows, header.Columns))
    if sides[0] < MIN_SIDE:
        return _not("too_small", f"the image is smaller than {MIN_SIDE} pixels.")
    if sides[1] > 2.5 * sides[0]:
        return _not("shape", "the image is too long and narrow for a chest radiograph.")
    return None


def _body_part(header: InstanceHeader) -> GateVerdict | None:
    if header.BodyPartExamined:
        if CHEST.search(header.BodyPartExamined):
            return None
        return _not("body_part", "the header names another body part than the chest.")
    if CHEST.search(f"{header.StudyDescription} {header.SeriesDescription}"):
        return None
    return _not("body_part_unknown", "the header does not say that this is a chest.")


def _view(header: InstanceHeader) -> GateVerdict | None:
    described = f"{header.StudyDescription} {header.SeriesDescription}".upper()
    if header.ViewPosition:
        if FRONTAL.fullmatch(header.ViewPosition):
            return None
        if LATERAL.fullmatch(header.ViewPosition):
            return _not("view", "lateral view.")
        return _not("view", "the view is not frontal (PA or AP).")
    if re.search(r"\b(LAT|LATERAL|LL|RL|OBLIQUE)\b", described):
        return _not("view", "the view is described as lateral or oblique.")
    if re.search(r"\b(PA|AP|FRONTAL)\b", described):
        return None
    return _not("view_unknown", "the header does not say that the view is frontal (PA or AP).")


def is_secondary(header: InstanceHeader) -> bool:
    """A picture of a picture, by its class or its image type."""
    image_type = [part.upper() for part in header.ImageType]
    return header.SOPClassUID.startswith(SECONDARY_CAPTURE) or image_type[1:2] == ["SECONDARY"]


def _provenance(header: InstanceHeader) -> GateVerdict | None:
    """A picture of a picture is taken only where the header says outright what it shows."""
    secondary = is_secondary(header)
    certain = CHEST.search(header.BodyPartExamined) and FRONTAL.fullmatch(header.ViewPosition)
    if secondary and not certain:
        return _not("secondary", "the image is a secondary capture whose body part or view is not stated.")
    return None


def age_gate(header: InstanceHeader, ages: tuple[float, float] | None) -> GateVerdict:
    """Whether the patient's age lies where the model saw films; passes where either is not known.

    A year of grace below and above: a patient's age is given in whole years.
    """
    age = age_years(header.PatientAge)
    age = _age_from_dates(header) if age is None else age
    if age is None or ages is None or ages[0] - 1 < age < ages[1] + 1:
        return GateVerdict(True)
    return _not(
        "age", f"the patient's age is outside the {ages[0]:.0f} to {ages[1]:.0f} years of the model's films."
    )


def _age_from_dates(header: InstanceHeader) -> float | None:
    try:
        born, taken = (date.fromisoformat(one) for one in (header.PatientBirthDate, header.StudyDate))
    except ValueError:
        return None
    return (taken - born).days / 365.25 if born <= taken else None
