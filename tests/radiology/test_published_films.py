"""Every file of the published set that is at hand, and one of each kind made here, gets its verdict."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from apps.radiology.analysis.services.analyse import analyse_instance
from apps.radiology.models import Instance, Status
from tests.radiology.conftest import film_file

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("LYNCEUS_DATA", ROOT.parent / "shared" / "data")) / "dicom"
# A film the model may judge waits for one here: none is in service.
ACCEPTED = "received no_model"
CT = XA = US = MG = OTHER = "not_analysed modality"
NO_BODY_PART, NOT_CHEST = "not_analysed body_part_unknown", "not_analysed body_part"
NOT_FRONTAL = "not_analysed view"
NO_IMAGE, BAD, CUT = "door no_pixels", "door bad_header", "door truncated"
# The longest beginning of the name that is listed decides; the words are what `verdict_of` answers.
EXPECTED = {
    "cornerstone3D__CT": CT,
    "dicom-test-files__RG1": ACCEPTED,  # chest, PA
    "dicom-test-files__RG2": NOT_CHEST,  # hip
    "dicom-test-files__RG3": NOT_CHEST,  # hand
    "dicom-test-files__XA1": XA,
    "fo-dicom__CR-ModalitySequenceLUT": NO_BODY_PART,
    "fo-dicom__OutOfBoundsOverlay": MG,
    "highdicom__dx_image": "not_analysed view_unknown",  # a dog, lateral; no ViewPosition
    "pydicom-data__HTJ2K": BAD,  # no StudyInstanceUID
    "pydicom-data__OBXXXX1A": US,
    "pydicom-data__RG1": ACCEPTED,
    "pydicom-data__US1": US,
    "pydicom-data__explicit_VR-UN": CT,
    "pydicom-data__gdcm-US": US,
    "pydicom-data__liver_deflate": "door unsupported_transfer_syntax",
    "pydicom__CT_small": CT,
    "pydicom__ExplVR_BigEnd": US,
    "pydicom__J2K_pixelrep_mismatch": CT,
    "pydicom__MR_truncated": CUT,
    "pydicom__SC_rgb": OTHER,
    "pydicom__badVR": BAD,  # NumberOfFrames is no number
    "pydicom__chr": OTHER,  # character sets
    "pydicom__chrJapMulti": NO_IMAGE,
    "pydicom__chrKoreanMulti": NO_IMAGE,
    "pydicom__examples_palette": US,
    "pydicom__image_dfl": OTHER,
    "pydicom__no_meta": "door not_dicom",
    "pydicom__rtplan": NO_IMAGE,
    "pylibjpeg-data__966_fixed": ACCEPTED,
    "pylibjpeg-data__JPEG2KLossless": NO_BODY_PART,
    "torchxrayvision__": ACCEPTED,  # both polarities
}


def viewed(meaning: str) -> bytes:
    """A film that names its view by a code alone."""
    item = Dataset()
    item.CodeMeaning = meaning
    return film_file(ViewPosition=None, ViewCodeSequence=[item])


MADE = {
    "made chest": (film_file(), ACCEPTED),
    "made chest, inverted": (film_file(PhotometricInterpretation="MONOCHROME1"), ACCEPTED),
    "made hand": (film_file(BodyPartExamined="HAND"), NOT_CHEST),
    "made CT": (film_file(Modality="CT"), CT),
    "made report": (film_file(PixelData=None, Modality="SR"), NO_IMAGE),
    "made chest, view by code": (
        viewed("postero-anterior"),
        ACCEPTED,
    ),
    "made lateral, view by code": (
        viewed("lateral"),
        NOT_FRONTAL,
    ),
    "made chest, view described": (film_file(ViewPosition="", SeriesDescription="Chest PA"), ACCEPTED),
    "made chest, view unknown": (film_file(ViewPosition=""), "not_analysed view_unknown"),
    "made cut": (film_file()[:3000], CUT),
}
CASES = [
    *(pytest.param(content, verdict, id=name) for name, (content, verdict) in MADE.items()),
    *(pytest.param(path, None, id=path.stem[:60]) for path in sorted(FOLDER.glob("*.dcm"))),
]


def expected_of(path: Path) -> str:
    return EXPECTED[max((start for start in EXPECTED if path.name.startswith(start)), key=len)]


@pytest.mark.parametrize(("source", "verdict"), CASES)
def test_each_film_gets_findings_or_a_reason(send, radiologist, source, verdict) -> None:
    content = source.read_bytes() if isinstance(source, Path) else source
    wanted = expected_of(source) if isinstance(source, Path) else verdict
    [row] = send(content)
    assert verdict_of(row) == wanted
    if "url" in row:
        page = radiologist.get(row["url"])
        assert page.status_code == 200
        instance = Instance.objects.get()
        assert instance.reason in page.content.decode()
        image = radiologist.get(f"/radiology/instances/{instance.public_id}/image.png")
        assert image.status_code == (404 if instance.status == Status.REFUSED else 200)


def verdict_of(row: dict[str, str]) -> str:
    assert row["state"] in ("refused", "queued"), row
    if row["state"] == "refused":
        assert len(row["message"]) > 10
        return f"door {row['code']}"
    instance = Instance.objects.get()
    analyse_instance(instance.pk)
    instance.refresh_from_db()
    assert len(instance.reason) > 10
    return f"{instance.status} {instance.reason_code}"
