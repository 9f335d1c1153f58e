"""Codes for what is looked at and how: SNOMED CT of DICOM's context groups, RadLex where those have none,
DICOM's own, LOINC for procedures. 99LYNCEUS is for what nobody else has coded."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

SNOMED, RADLEX, DCM, LOINC, OWN = "SCT", "RADLEX", "DCM", "LN", "99LYNCEUS"


@dataclass(frozen=True, slots=True)
class Code:
    """As DICOM writes one: value, designator of its scheme, and what it means."""

    value: str
    scheme: str
    meaning: str


# Context group 244, by the values of (Image) Laterality.
LATERALITY = {
    "L": Code("7771000", SNOMED, "Left"),
    "R": Code("24028007", SNOMED, "Right"),
    "B": Code("51440002", SNOMED, "Bilateral"),
    "U": Code("66459002", SNOMED, "Unilateral"),
}
# Context group 4010, by the values of View Position.
VIEWS = {
    "PA": Code("272479007", SNOMED, "postero-anterior"),
    "AP": Code("399348003", SNOMED, "antero-posterior"),
    "LL": Code("399173006", SNOMED, "left lateral"),
    "RL": Code("399198007", SNOMED, "right lateral"),
    "LATERAL": Code("399067008", SNOMED, "lateral"),
    "FRONTAL": Code("399033003", SNOMED, "frontal"),
}
# Context group 29, those that the gate lets through.
MODALITIES = {
    "CR": Code("CR", DCM, "Computed Radiography"),
    "DX": Code("DX", DCM, "Digital Radiography"),
    "RG": Code("RG", DCM, "Radiographic imaging"),
}
# Of a finding in a structured report. "Absent" would say that the film is free of it.
OPERATING_POINT = Code("operating_point", OWN, "Operating point")
CALL = Code("call", OWN, "Call at the operating point")
CALLED = Code("called", OWN, "At or above its operating point")
NOT_CALLED = Code("not_called", OWN, "Below its operating point")
NO_POINT = Code("no_point", OWN, "Insufficient evidence for an operating point")
_LATERAL = ("LL", "RL", "LATERAL")
# LOINC has no code for a PA view alone that does not also say "upright", which no header does.
_ONE_VIEW = Code("36554-4", LOINC, "XR Chest Single view")
_ONE_AP = Code("36572-6", LOINC, "XR Chest AP")
_TWO_VIEWS = Code("36643-5", LOINC, "XR Chest 2 Views")
_PA_AND_LATERAL = Code("42272-5", LOINC, "XR Chest PA and Lateral")
_AP_AND_LATERAL = Code("36687-2", LOINC, "XR Chest AP and Lateral")
_VIEWS = Code("30745-4", LOINC, "XR Chest Views")
PROCEDURES = (_ONE_VIEW, _ONE_AP, _TWO_VIEWS, _PA_AND_LATERAL, _AP_AND_LATERAL, _VIEWS)


def view_of(view_position: str) -> str:
    """The key of VIEWS that a View Position or a view's code meaning says, or ""."""
    words = re.sub(r"[^A-Z]+", " ", view_position.upper()).strip()
    if words in VIEWS:
        return words
    for key, code in VIEWS.items():
        meaning = code.meaning.upper().replace("-", " ")
        if words in (meaning, meaning.replace(" ", ""), f"{meaning} PROJECTION"):
            return key
    return "LATERAL" if words == "LAT" else ""


def procedure_of(view_positions: Collection[str]) -> Code:
    """The chest radiography with these films, of each its View Position ("" where the header has none)."""
    views = [view_of(view) for view in view_positions]
    if len(views) == 1:
        return _ONE_AP if views == ["AP"] else _ONE_VIEW
    if len(views) == 2:
        lateral = any(view in _LATERAL for view in views)
        if lateral and "PA" in views:
            return _PA_AND_LATERAL
        return _AP_AND_LATERAL if lateral and "AP" in views else _TWO_VIEWS
    return _VIEWS
