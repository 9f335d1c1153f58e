"""De-identify a film: the Basic Application Level Confidentiality Profile with modified dates (PS3.15 E.1,
E.3.6).

What the table of the profile does not name is not trusted either: private and unknown attributes, overlays
and curves, free text, and whatever repeats a name or number of the patient are taken out too. Pixels are not
looked into: `text_risk` says when a person has to.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom.datadict import dictionary_has_tag, keyword_for_tag
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.tag import BaseTag
from pydicom.uid import UID

from ml.radiology.confidentiality import Action, action_of
from ml.radiology.contracts import DicomRefused
from ml.radiology.dicom import SYNTHETIC_MANUFACTURER, guarded, header_of, text_of
from ml.radiology.gate import RADIOGRAPHY, is_secondary
from ml.radiology.parsing import DEFLATED, EXPLICIT_LITTLE, PIXEL_TAGS, SEQUENCE_MAX, Limits, parse
from ml.radiology.pseudonyms import Pseudonyms

METHOD = "PS3.15 Basic Application Level Confidentiality Profile, modified dates"
# Context group 7050.
CODES = (
    ("113100", "Basic Application Confidentiality Profile"),
    ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
)
REMOVED, EMPTIED, REPLACED, MAPPED, SHIFTED = "removed", "emptied", "replaced", "mapped", "shifted"
DUMMY = "REMOVED"
DEPTH_MAX = 8
TEXTS = frozenset({"AE", "AS", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
FREE = frozenset({"LT", "ST", "UC", "UR", "UT"})
DATES, NUMBERS = (
    frozenset({"DA", "DT"}),
    frozenset({"DS", "FD", "FL", "IS", "SL", "SS", "UL", "US", "SV", "UV"}),
)
NAMES_MIN, NUMBERS_MIN, PIXELS_MIN = 3, 3, 6
_NO_WORD = re.compile(r"[\W_]+")
# Whose values may stand nowhere else; every name (PN) besides.
NUMBERS_OF_A_PERSON = frozenset({
    "PatientID", "OtherPatientIDs", "AccessionNumber", "StudyID", "AdmissionID", "ServiceEpisodeID",
    "MilitaryRank", "PatientTelephoneNumbers", "PatientAddress", "MedicalRecordLocator", "InstitutionName",
    "InsurancePlanIdentification", "DeviceSerialNumber", "StationName",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Deidentified:
    """`changes` counts by (keyword or tag, what was done), never what a value was."""

    dataset: Dataset
    SOPInstanceUID: str
    changes: Counter[tuple[str, str]]

    def content(self) -> bytes:
        """As a DICOM file (PS3.10)."""
        buffer = io.BytesIO()
        self.dataset.save_as(buffer, enforce_file_format=True)
        return buffer.getvalue()


def deidentify(path: Path, limits: Limits, pseudonyms: Pseudonyms) -> Deidentified:
    """Raises OSError and DicomRefused: what `read_header` raises, identity_in_pixels where a name or number
    of the patient lies among the pixels' bytes, hidden_overlay where an overlay lies in their unused bits."""
    return guarded(lambda: _deidentify(path, limits, pseudonyms))


def text_risk(path: Path, limits: Limits) -> str:
    """Why a person has to look at the pixels for text, as a sentence; empty where the header promises that
    none is burned in, and is believed. Raises DicomRefused, OSError."""

    def look() -> str:
        parsed = parse(path, limits, with_pixels=False)
        header, dataset = header_of(parsed, limits), parsed.dataset
        if header.is_result or is_secondary(header) or "ConversionType" in dataset:
            return "The image is a secondary capture: text is often part of the picture."
        if header.Modality.upper() not in RADIOGRAPHY:
            return "Images of this modality often hold text in the picture."
        if text_of(dataset, "BurnedInAnnotation").upper() != "NO":
            return "The header does not say that no text is burned in."
        return ""

    return guarded(look)


def _deidentify(path: Path, limits: Limits, pseudonyms: Pseudonyms) -> Deidentified:
    parsed = parse(path, limits, with_pixels=True)
    header_of(parsed, limits)
    dataset = parsed.dataset
    if _hidden_overlay(dataset):
        raise DicomRefused("hidden_overlay", "An overlay lies in the unused bits of the pixels.")
    secrets = _Secrets()
    secrets.learn(dataset)
    if secrets.in_pixels(dataset):
        raise DicomRefused("identity_in_pixels", "A name or number of the patient lies among the pixels.")
    work = _Work(pseudonyms, secrets)
    work.clean(dataset, 0)
    _mark(dataset, pseudonyms)
    dataset.file_meta = _meta(dataset, parsed.transfer_syntax)
    return Deidentified(dataset, str(dataset.SOPInstanceUID), work.changes)


def _mark(dataset: Dataset, pseudonyms: Pseudonyms) -> None:
    dataset.PatientID = dataset.PatientName = pseudonyms.patient_id
    dataset.PatientIdentityRemoved = "YES"
    dataset.LongitudinalTemporalInformationModified = "MODIFIED"
    dataset.DeidentificationMethod = METHOD
    items = []
    for value, meaning in CODES:
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
        items.append(item)
    dataset.DeidentificationMethodCodeSequence = items


def _meta(dataset: Dataset, transfer_syntax: str) -> FileMetaDataset:
    """Of our own: the sender's names its application and may hold anything."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = UID(EXPLICIT_LITTLE if transfer_syntax == DEFLATED else transfer_syntax)
    return meta


def _hidden_overlay(dataset: Dataset) -> bool:
    """PS3.5 8.1.2 let overlays use bits of a pixel that its value does not."""
    groups = {tag.group for tag in dataset.keys() if 0x6000 <= tag.group <= 0x60FF}  # noqa: SIM118
    return any((group, 0x3000) not in dataset for group in groups)


@dataclass(slots=True)
class _Secrets:
    """The patient's and other persons' names and numbers, wherever they stood."""

    texts: set[str] = field(default_factory=set)

    def learn(self, dataset: Dataset, depth: int = 0) -> None:
        for tag in list(dataset.keys()):
            element = _element(dataset, tag)
            if element is None:
                continue
            if element.VR == "SQ" and depth < DEPTH_MAX:
                for item in element.value or []:
                    self.learn(item, depth + 1)
            elif element.VR == "PN":
                words = (word for text in _values(element) for word in _words(text))
                self.texts |= {word for word in words if len(word) >= NAMES_MIN}
            elif keyword_for_tag(tag) in NUMBERS_OF_A_PERSON:
                self.texts |= {text for text in _values(element) if len(text) >= NUMBERS_MIN}

    def within(self, element: Any) -> bool:
        """As words; a long one also as part of one. What is needed to show the pixels is spared, and so is
        the mark of a synthetic film."""
        if element.tag.group == 0x0028 or element.value == SYNTHETIC_MANUFACTURER:
            return False
        for text in _values(element):
            if self.texts & {text, *_NO_WORD.split(text)}:
                return True
            if any(secret in text for secret in self.texts if len(secret) >= PIXELS_MIN):
                return True
        return False

    def in_pixels(self, dataset: Dataset) -> bool:
        """Comments of a codec hold them now and then. Short ones are there by chance."""
        pixels = [dataset.get_item(tag, keep_deferred=True).value for tag in PIXEL_TAGS if tag in dataset]
        long = [secret.encode() for secret in self.texts if len(secret) >= PIXELS_MIN]
        return any(secret in value.lower() for value in pixels if value for secret in long)


@dataclass(slots=True)
class _Work:
    pseudonyms: Pseudonyms
    secrets: _Secrets
    changes: Counter[tuple[str, str]] = field(default_factory=Counter)

    def clean(self, dataset: Dataset, depth: int) -> None:
        for tag in list(dataset.keys()):
            if tag.element == 0:
                del dataset[tag]  # a group's length, which is another now
            elif tag not in PIXEL_TAGS:
                self.element(dataset, tag, depth)

    def element(self, dataset: Dataset, tag: BaseTag, depth: int) -> None:
        if _untold(tag) or (element := _element(dataset, tag)) is None:
            self.remove(dataset, tag)
            return
        action = action_of(tag)
        if element.VR == "SQ":
            self.sequence(dataset, element, action, depth)
        elif element.VR == "UI":
            self.uids(dataset, element, action)
        elif element.VR in DATES and tag.group != 0x0010:
            self.dates(element)
        elif element.VR == "TM" and tag.group != 0x0010:
            return  # the time of a day that is another says nothing of the patient
        else:
            self.value(dataset, element, action)

    def value(self, dataset: Dataset, element: Any, action: Action | None) -> None:
        if action is None:
            unlisted = {"PN": Action.EMPTY, "UN": Action.REMOVE, **dict.fromkeys(FREE, Action.REMOVE)}
            repeats = element.VR in TEXTS and self.secrets.within(element)
            action = Action.REMOVE if repeats else unlisted.get(element.VR)
        if element.tag == 0x00100010:
            action = Action.DUMMY  # until the pseudonym stands there
        if action in (Action.DUMMY, Action.UID) and element.VR not in TEXTS | NUMBERS:
            action = Action.REMOVE
        if action == Action.REMOVE:
            self.remove(dataset, element.tag)
        elif action == Action.EMPTY:
            self.note(element.tag, EMPTIED)
            element.value = ""
        elif action is not None:
            self.note(element.tag, REPLACED)
            element.value = 0 if element.VR in NUMBERS else "000Y" if element.VR == "AS" else DUMMY

    def sequence(self, dataset: Dataset, element: Any, action: Action | None, depth: int) -> None:
        if action in (Action.REMOVE, Action.DUMMY) or depth >= DEPTH_MAX:
            self.remove(dataset, element.tag)
        elif action == Action.EMPTY:
            self.note(element.tag, EMPTIED)
            element.value = []
        else:
            for item in element.value or []:
                self.clean(item, depth + 1)

    def uids(self, dataset: Dataset, element: Any, action: Action | None) -> None:
        if action == Action.REMOVE:
            self.remove(dataset, element.tag)
            return
        if action is None and (keyword_for_tag(element.tag) or "").endswith("ClassUID"):
            return  # of a private class too: it says what the object is
        before = _values(element, fold=False)
        after = [self.pseudonyms.uid(uid) for uid in before]
        if after != before:
            self.note(element.tag, MAPPED)
            element.value = after if len(after) > 1 else after[0]

    def dates(self, element: Any) -> None:
        days = [self.pseudonyms.day(text) for text in _values(element, fold=False)]
        self.note(element.tag, SHIFTED)
        element.value = [day for day in days if day] or ""

    def remove(self, dataset: Dataset, tag: BaseTag) -> None:
        del dataset[tag]
        self.note(tag, REMOVED)

    def note(self, tag: BaseTag, done: str) -> None:
        private = f"({tag.group:04X},xxxx)" if tag.is_private or not dictionary_has_tag(tag) else ""
        self.changes[private or keyword_for_tag(tag) or str(tag), done] += 1


def _untold(tag: BaseTag) -> bool:
    """Private, unknown to the standard, a command's or directory's, a curve (50xx) or an overlay (60xx)."""
    return tag.group < 8 or tag.is_private or not dictionary_has_tag(tag) or tag.group >> 8 in (0x50, 0x60)


def _element(dataset: Dataset, tag: BaseTag) -> Any:
    """None where it cannot be read within limits."""
    raw = dataset.get_item(tag, keep_deferred=True)
    if (
        isinstance(raw, RawDataElement)
        and raw.VR in ("SQ", "UN", None)
        and len(raw.value or b"") > SEQUENCE_MAX
    ):
        return None
    try:
        element = dataset[tag]
        str(element.value)
    except RecursionError:
        raise
    except Exception:  # one element that its VR or character set does not fit
        return None
    return element


def _values(element: Any, *, fold: bool = True) -> list[str]:
    value = element.value
    several = value if isinstance(value, (list, tuple)) or hasattr(value, "append") else [value]
    texts = [str(one).replace("\0", "").strip() for one in several if one is not None]
    return [text.casefold() for text in texts] if fold else texts


def _words(name: str) -> list[str]:
    return _NO_WORD.split(name)
