"""De-identification: of nothing that tells whose film it is a byte is left, and the film stays one."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.datadict import dictionary_has_tag, dictionary_VR, keyword_for_tag, tag_for_keyword
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless

from ml.radiology import deidentify as module
from ml.radiology.confidentiality import CHOSEN, TABLE, Action, action_of, table
from ml.radiology.contracts import DicomRefused
from ml.radiology.deidentify import Deidentified, deidentify, text_risk
from ml.radiology.dicom import decode
from ml.radiology.parsing import Limits
from ml.radiology.pseudonyms import Pseudonyms
from tests.radiology.conftest import film

ROOT = Path(__file__).resolve().parents[3]
PUBLISHED = Path(os.environ.get("LYNCEUS_DATA", ROOT.parent / "shared" / "data")) / "dicom"
JANE = Pseudonyms(b"a key", "4711")
WORD, ROOT_UID, DAY = "Zyqxwv", "1.3.6.1.4.1.99999.7", "19871203"
BY_VR: dict[str, Any] = {
    "PN": f"{WORD}^Pqrstu", "DA": DAY, "DT": f"{DAY}101112", "AS": "042Y", "UI": f"{ROOT_UID}.5",
    "IS": "424242", "DS": "424242", "CS": "ZYQXWV", "OB": b"Zyqxwv", "OW": b"Zyqxwv", "UN": b"Zyqxwv",
    "US": 42424, "UL": 424242424, "FD": 4242.42, "FL": 4242.42, "SL": 1, "SS": 1, "AT": 0x00100020,
    "TM": "1011",
}  # fmt: skip


def nested() -> Dataset:
    data = Dataset()
    data.PatientName, data.StudyDate, data.ReferencedSOPInstanceUID = BY_VR["PN"], DAY, BY_VR["UI"]
    data.InstitutionName = WORD
    return data


def named_by_the_table(*, sequences: bool = True) -> Dataset:
    """Every attribute that the profile names, with something that may not be left."""
    data = Dataset()
    for text in table():
        tag = int(text.replace("x", "0"), 16)
        if "x" in text or not dictionary_has_tag(tag) or tag >> 16 < 8 or tag == 0x7FE00010:
            continue
        vr = dictionary_VR(tag).split(" or ")[0]
        if vr == "SQ":
            if sequences:
                data.add_new(tag, "SQ", [nested()])
        else:
            data.add_new(tag, vr, BY_VR.get(vr, f"{WORD} {tag:08X}"[:16]))
    return data


def full(**attributes: Any) -> Dataset:
    """A film that says who it is of wherever it can."""
    data = film(**attributes)
    data.update(named_by_the_table())
    for name in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        setattr(data, name, f"{ROOT_UID}.{len(name)}")
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.BodyPartExamined, data.SpecificCharacterSet = "CHEST", "ISO_IR 192"
    data.ReasonForVisit = f"{WORD} coughs"  # free text
    data.ViewCodeSequence = [named_by_the_table(sequences=False)]  # a sequence that is kept
    data.ViewCodeSequence[0].CodeMeaning = f"of Mr {WORD}"
    data.add_new(0x00090010, "LO", "ACME")
    data.add_new(0x00091001, "LO", "HIDDEN")
    data.add_new(0x00091002, "SQ", [nested()])
    data.add_new(0x60003000, "OW", b"Zyqxwv")
    data.add_new(0x60000022, "LO", WORD)
    data.add_new(0x50003000, "OW", b"Zyqxwv")
    data.file_meta.SourceApplicationEntityTitle = "ZYQXWV"
    data.file_meta.PrivateInformationCreatorUID, data.file_meta.PrivateInformation = ROOT_UID, b"Zyqxwv"
    data.preamble = WORD.encode() + bytes(122)
    return data


def written(data: Dataset, folder: Path, name: str = "film.dcm") -> Path:
    data.save_as(folder / name, enforce_file_format=True)
    return folder / name


def clean(data: Dataset, folder: Path, whose: Pseudonyms = JANE) -> tuple[Deidentified, bytes]:
    done = deidentify(written(data, folder), Limits(), whose)
    return done, done.content()


def left(content: bytes) -> list[str]:
    return [
        told
        for told in (WORD, "pqrstu", ROOT_UID, DAY, "42424", "042y", "hidden")
        if told.lower().encode() in content.lower()
    ]


def again(content: bytes) -> Dataset:
    return pydicom.dcmread(io.BytesIO(content))


def test_the_table_is_the_profiles(tmp_path) -> None:
    assert len(table()) == 655
    with TABLE.open(newline="") as file:
        named = {row["tag"]: row["keyword"] for row in csv.DictReader(file) if row["keyword"]}
    assert named == {tag: keyword_for_tag(int(tag, 16)) for tag in named}
    assert len(named) > 600
    assert set(table().values()) <= set(CHOSEN)
    asked = {
        "PatientName": Action.EMPTY, "PatientID": Action.DUMMY, "AccessionNumber": Action.EMPTY,
        "StudyInstanceUID": Action.UID, "PatientAddress": Action.REMOVE, "SeriesDescription": Action.REMOVE,
        "OperatorsName": Action.DUMMY, "ReferencedImageSequence": Action.UID,
    }  # fmt: skip
    assert {name: action_of(tag_for_keyword(name)) for name in asked} == asked
    assert action_of(0x60123000) == Action.REMOVE  # of any overlay
    assert action_of(0x00280010) is None


def test_it_works(tmp_path) -> None:
    data = full()
    assert len(left(written(data, tmp_path).read_bytes())) == 7
    done, content = clean(data, tmp_path)
    assert left(content) == []
    out = again(content)
    assert out.PatientID == out.PatientName == JANE.patient_id
    assert out.PatientIdentityRemoved == "YES"
    assert out.LongitudinalTemporalInformationModified == "MODIFIED"
    assert out.DeidentificationMethod.startswith("PS3.15")
    codes = [(item.CodeValue, item.CodingSchemeDesignator) for item in out.DeidentificationMethodCodeSequence]
    assert codes == [("113100", "DCM"), ("113107", "DCM")]
    assert out.file_meta.MediaStorageSOPInstanceUID == out.SOPInstanceUID == done.SOPInstanceUID
    assert (out.SOPClassUID, out.BodyPartExamined, out.Rows) == (data.SOPClassUID, "CHEST", 96)
    assert out.PixelData == data.PixelData
    assert not [tag for tag in out.keys() if tag.is_private or tag.group >> 8 in (0x50, 0x60)]  # noqa: SIM118
    assert (
        decode(written(out, tmp_path, "out.dcm")).pixel_sha256 == decode(written(data, tmp_path)).pixel_sha256
    )


def test_the_report_counts_and_quotes_nothing(tmp_path) -> None:
    done, _ = clean(full(), tmp_path)
    assert done.changes["PatientID", "replaced"] >= 2  # nested as well
    assert done.changes["StudyInstanceUID", "mapped"] >= 1
    assert done.changes["StudyDate", "shifted"] >= 1
    assert done.changes["(0009,xxxx)", "removed"] == 3
    told = repr(sorted(done.changes))
    assert left(told.encode()) == []


def without_recursion(monkeypatch) -> None:
    monkeypatch.setattr(module._Work, "sequence", lambda *_: None)


def without_a_memory(monkeypatch) -> None:
    monkeypatch.setattr(module._Secrets, "learn", lambda *_: None)


def without_groups(monkeypatch) -> None:
    monkeypatch.setattr(module, "_untold", lambda tag: False)


def without_the_table(monkeypatch) -> None:
    monkeypatch.setattr(module, "action_of", lambda tag: None)


@pytest.mark.parametrize("guard", [without_recursion, without_a_memory, without_groups, without_the_table])
def test_without_one_of_its_parts_something_would_be_left(tmp_path, monkeypatch, guard) -> None:
    guard(monkeypatch)
    assert left(clean(full(), tmp_path)[1])


def test_what_belongs_together_stays_together(tmp_path) -> None:
    one = film(StudyDate="20250131", AcquisitionDate="20250201", StudyTime="101500")
    two = film(StudyDate="20250310", StudyInstanceUID=one.StudyInstanceUID)
    first, second = (again(clean(data, tmp_path)[1]) for data in (one, two))
    assert first.StudyInstanceUID == second.StudyInstanceUID != one.StudyInstanceUID
    assert first.SOPInstanceUID != second.SOPInstanceUID
    days = [pydicom.valuerep.DA(text) for text in (first.StudyDate, first.AcquisitionDate, second.StudyDate)]
    assert [(day - days[0]).days for day in days] == [0, 1, 38]
    assert first.StudyDate != one.StudyDate
    assert first.StudyTime == one.StudyTime
    other = again(clean(one, tmp_path, Pseudonyms(b"a key", "4712"))[1])
    assert other.StudyInstanceUID == first.StudyInstanceUID  # references lead across
    assert (other.PatientID, other.StudyDate) != (first.PatientID, first.StudyDate)
    elsewhere = again(clean(one, tmp_path, Pseudonyms(b"another key", "4711"))[1])
    assert {elsewhere.PatientID, elsewhere.StudyInstanceUID} & {
        first.PatientID,
        first.StudyInstanceUID,
    } == set()


@pytest.mark.parametrize("value", ["2025", "202502", "20251301", "nonsense", "00010101"])
def test_a_date_that_is_no_day_goes(value) -> None:
    assert JANE.day(value) == ""
    assert JANE.day("2025.01.31") == JANE.day("20250131") != "20250131"
    assert JANE.day("20250131101112.5+0100")[8:] == "101112.5+0100"


def test_a_patients_name_goes_where_no_table_would_look(tmp_path) -> None:
    data = film(PatientName="Smith^Ann", ManufacturerModelName="Unit of A. Smith", Manufacturer="Smithers")
    out = again(clean(data, tmp_path)[1])
    assert "ManufacturerModelName" not in out
    assert out.Manufacturer == "Smithers"  # another word


def test_what_describes_the_pixels_stays_whatever_the_patient_is_called(tmp_path) -> None:
    data = film(PatientName="Monochrome2^Chest", Manufacturer="Lynceus synthetic", OperatorsName="Synthetic")
    out = again(clean(data, tmp_path)[1])
    assert out.PhotometricInterpretation == "MONOCHROME2"
    assert out.Manufacturer == "Lynceus synthetic"  # and so does the mark of a synthetic film


@pytest.mark.parametrize("syntax", [DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless])
def test_of_every_encoding(tmp_path, syntax) -> None:
    data = full()
    if syntax == RLELossless:
        data.compress(RLELossless, generate_instance_uid=False)
    else:
        data.file_meta.TransferSyntaxUID = syntax
    content = clean(data, tmp_path)[1]
    assert left(content) == []
    before, after = (decode(written(one, tmp_path, "a.dcm")) for one in (data, again(content)))
    assert after.pixel_sha256 == before.pixel_sha256


def refused(data: Dataset, folder: Path) -> str:
    with pytest.raises(DicomRefused) as error:
        clean(data, folder)
    return error.value.code


def test_identity_among_the_pixels_is_refused(tmp_path) -> None:
    data = film(PatientName="Zyqxwv^Ann")
    data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.50"
    data.PixelData = encapsulate([b"\xff\xd8\xff\xfe\x00\x08ZYQXWV\xff\xd9"])
    data["PixelData"].is_undefined_length = True
    assert refused(data, tmp_path) == "identity_in_pixels"


def test_an_overlay_in_unused_bits_is_refused(tmp_path) -> None:
    data = film()
    data.add_new(0x60000100, "US", 16)
    data.add_new(0x60000102, "US", 15)
    assert refused(data, tmp_path) == "hidden_overlay"


@pytest.mark.parametrize(
    ("attributes", "risk"),
    [
        ({"BurnedInAnnotation": "NO"}, ""),
        ({}, "does not say"),
        ({"BurnedInAnnotation": "YES"}, "does not say"),
        ({"BurnedInAnnotation": "NO", "Modality": "US"}, "modality"),
        ({"BurnedInAnnotation": "NO", "ConversionType": "DF"}, "secondary capture"),
        ({"BurnedInAnnotation": "NO", "ImageType": ["DERIVED", "SECONDARY"]}, "secondary capture"),
        ({"BurnedInAnnotation": "NO", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "secondary capture"),
        ({"BurnedInAnnotation": "NO", "Manufacturer": "Lynceus"}, "secondary capture"),
    ],
)
def test_who_has_to_look_at_the_pixels(tmp_path, attributes, risk) -> None:
    found = text_risk(written(film(**attributes), tmp_path), Limits())
    assert risk in found
    assert bool(found) == bool(risk)


def identifying(dataset: Dataset) -> set[str]:
    """What of a published file must be gone: every name, number and UID of its own, wherever it stands."""
    found: set[str] = set()
    for element in dataset.iterall():
        keyword = keyword_for_tag(element.tag)
        values = [str(one) for one in (element.value if element.VM > 1 else [element.value])]
        if element.VR == "UI" and not (keyword or "").endswith("ClassUID"):
            found |= {uid for uid in values if not uid.startswith("1.2.840.10008.")}
        elif element.VR == "PN" or keyword in (
            "PatientID",
            "AccessionNumber",
            "InstitutionName",
            "StationName",
        ):
            found |= {text for text in values if len(text) >= 5}
    return found - {""}


def test_published_films_of_many_makers(tmp_path) -> None:
    """Where the data folder is at hand; the film above has more in it than any of them."""
    for path in sorted(PUBLISHED.glob("*.dcm")):
        try:
            done = deidentify(path, Limits(), JANE)
        except DicomRefused as refusal:
            assert refusal.code, path.name
            continue
        content = done.content()
        before = pydicom.dcmread(path, force=True)
        assert [text for text in identifying(before) if text.encode() in content] == [], path.name
        assert again(content).PatientIdentityRemoved == "YES"
        meta: FileMetaDataset = again(content).file_meta
        assert meta.MediaStorageSOPInstanceUID == done.SOPInstanceUID
