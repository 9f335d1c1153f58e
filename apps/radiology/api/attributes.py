"""Attributes as DICOM JSON (PS3.18 annex F), from what the database holds: whose a study is now."""

from __future__ import annotations

from typing import Any

from pydicom.datadict import dictionary_VR, tag_for_keyword

from apps.radiology.common.headers import IDENTITY
from apps.radiology.documents.contents import StoredFile
from apps.radiology.models import Study

Json = dict[str, Any]
PATIENT_GROUP = "0010"
_NAME_PARTS = ("Alphabetic", "Ideographic", "Phonetic")


def tag_of(keyword: str) -> str:
    """GGGGEEEE of a keyword of ours."""
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    return f"{tag:08X}"


def as_json(keyword: str, value: Any) -> Json:
    """One attribute. A text holds several values with backslashes between; an empty one has no value."""
    vr = dictionary_VR(tag_of(keyword))
    if isinstance(value, str):
        value = value.split("\\")
    values = value if isinstance(value, list) else [value]
    if values in ([""], []):
        return {"vr": vr}
    return {"vr": vr, "Value": [_name(one) for one in values] if vr == "PN" else values}


def several(values: dict[str, Any]) -> Json:
    """Attributes by their keywords."""
    return {tag_of(keyword): as_json(keyword, value) for keyword, value in values.items()}


def identity_json(study: Study) -> Json:
    return several({name: getattr(study, name) for name in ("StudyInstanceUID", *IDENTITY)})


def metadata_json(study: Study, file: StoredFile, header: Json) -> Json:
    """A file's header as metadata: the study and the patient are the current ones.

    Where the file names another patient, what else it says of a patient is left out: it was moved or merged,
    and name, address and other numbers of one may not stand beside those of the other.
    """
    current = identity_json(study)
    patient = [tag_of(keyword) for keyword in ("PatientID", "IssuerOfPatientID")]
    if any(_first(header, tag) != _first(current, tag) for tag in patient):
        header = {tag: said for tag, said in header.items() if not tag.startswith(PATIENT_GROUP)}
    uids = {
        "SOPInstanceUID": file.SOPInstanceUID,
        "SOPClassUID": file.SOPClassUID,
        "SeriesInstanceUID": file.SeriesInstanceUID,
        "AvailableTransferSyntaxUID": file.TransferSyntaxUID,
    }
    return dict(sorted({**header, **current, **several(uids)}.items()))


def _first(attributes: Json, tag: str) -> str:
    values = attributes.get(tag, {}).get("Value") or [""]
    return str(values[0]).strip()


def _name(text: str) -> dict[str, str]:
    return {part: group for part, group in zip(_NAME_PARTS, text.split("="), strict=False) if group}
