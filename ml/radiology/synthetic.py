"""Made-up chest films as DICOM, with labels and true masks: always marked synthetic, the same for a seed."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from ml.radiology.anatomy import Rng, draw_anatomy, draw_pose
from ml.radiology.contracts import FloatImage
from ml.radiology.dicom import SYNTHETIC_MANUFACTURER
from ml.radiology.organs import Layer, noise
from ml.radiology.pathology import LABELS, add_distractors, add_finding
from ml.radiology.thorax import Scene, build_scene

__all__ = ["LABELS", "Film", "synthetic_film", "write_films"]

DIGITAL_X_RAY_FOR_PRESENTATION = "1.2.840.10008.5.1.4.1.1.1.1"
PREVALENCE = {
    "Consolidation": 0.22, "Effusion": 0.22, "Nodule": 0.22, "Pneumothorax": 0.18, "Cardiomegaly": 0.25,
}  # fmt: skip
ACQUIRED = ("modality", "manufacturer")
COLUMNS = ("file", "patient_id", *LABELS, "sex", "age", "view", *ACQUIRED)
FIXED: dict[str, Any] = {
    "Manufacturer": SYNTHETIC_MANUFACTURER, "ImageComments": "SYNTHETIC: drawn by a program, of no patient",
    "PatientName": "SYNTHETIC^FILM", "PatientBirthDate": "", "AccessionNumber": "", "StudyID": "",
    "SeriesNumber": 1, "InstanceNumber": 1, "Modality": "DX", "BodyPartExamined": "CHEST",
    "StudyDescription": "SYNTHETIC chest", "PresentationIntentType": "FOR PRESENTATION",
    "ImageType": ["DERIVED", "PRIMARY"], "PatientOrientation": ["L", "F"], "LossyImageCompression": "00",
    "BurnedInAnnotation": "NO", "PixelIntensityRelationship": "LOG", "RescaleIntercept": 0,
    "RescaleSlope": 1, "RescaleType": "US",
}  # fmt: skip
BITS = (12, 12, 12, 10, 14)


@dataclass(frozen=True, slots=True)
class Film:
    """One film. `content` is the whole DICOM file; `shown` float32 (rows, columns) in 0..1 is what it shows;
    masks are bool (rows, columns) of its findings only."""

    content: bytes
    shown: FloatImage
    sop_instance_uid: str
    patient_id: str
    labels: dict[str, int]
    masks: dict[str, npt.NDArray[np.bool_]]
    lungs: npt.NDArray[np.bool_]
    sex: str
    age: int
    view: str


def synthetic_film(seed: int, index: int, *, rows: int = 320, findings: Sequence[str] | None = None) -> Film:
    """Film `index` of the set `seed`; `findings` says which are drawn, else chance does.

    Every third patient has a second film. Which findings a film has is independent of how it was taken.
    """
    patient, number = (index - index // 4, 0) if index % 4 != 3 else (index - index // 4 - 1, 1)
    who = np.random.default_rng((seed, 0, patient))
    sex, age = str(who.choice(("M", "F"))), int(who.integers(20, 90))
    wanted = _draw_findings(who, seed, index) if findings is None else list(findings)
    if unknown := set(wanted) - set(LABELS):
        raise ValueError(f"No such finding can be drawn: {', '.join(sorted(unknown))}.")
    anatomy = draw_anatomy(who, sex=sex, age=age, enlarged_heart="Cardiomegaly" in wanted)
    how = np.random.default_rng((seed, 1, index))
    view = str(how.choice(("PA", "PA", "AP")))
    scene = build_scene(anatomy, draw_pose(how, view), rows, how)
    add_distractors(scene, how)
    drawn = np.random.default_rng((seed, 2, index))
    for label in wanted:
        add_finding(scene, label, drawn)
    shown = _expose(scene, np.random.default_rng((seed, 3, index)))
    who_id, key = f"SYN{seed:04d}-{patient:06d}", f"{seed}/{patient}/{number}"
    about = {"PatientID": who_id, "PatientSex": sex, "PatientAge": f"{age:03d}Y", "ViewPosition": view}
    content, uid = _dicom(shown, about, np.random.default_rng((seed, 4, index)), key)
    labels = {label: int(label in wanted) for label in LABELS}
    return Film(content, shown, uid, who_id, labels, scene.masks, scene.field, sex, age, view)


def write_films(folder: Path, n: int, *, seed: int, rows: int = 320, workers: int = 1) -> Path:
    """Write n films and labels.csv into `folder`, and return the path of labels.csv."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for row in _rows(folder, n, seed, rows, workers):
            writer.writerow(row)
    return folder / "labels.csv"


def _rows(folder: Path, n: int, seed: int, rows: int, workers: int) -> Iterator[dict[str, Any]]:
    jobs = [(str(folder), seed, index, rows) for index in range(n)]
    if workers <= 1:
        yield from map(_write_one, jobs)
        return
    # spawn: the caller may have threads or a CUDA context, which a fork would break.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_write_one, jobs, chunksize=32)


def _write_one(job: tuple[str, int, int, int]) -> dict[str, Any]:
    folder, seed, index, rows = job
    film = synthetic_film(seed, index, rows=rows)
    name = f"film-{index:06d}.dcm"
    (Path(folder) / name).write_bytes(film.content)
    about: dict[str, Any] = {"sex": film.sex, "age": film.age, "view": film.view}
    about |= {"modality": FIXED["Modality"], "manufacturer": FIXED["Manufacturer"]}
    return {"file": name, "patient_id": film.patient_id, **film.labels, **about}


def _draw_findings(who: Rng, seed: int, index: int) -> list[str]:
    """A heart stays enlarged from film to film; the rest comes and goes."""
    enlarged = who.random() < PREVALENCE["Cardiomegaly"]
    rng = np.random.default_rng((seed, 5, index))
    return [
        label
        for label in LABELS
        if (enlarged if label == "Cardiomegaly" else rng.random() < PREVALENCE[label])
    ]


def _expose(scene: Scene, rng: Rng) -> FloatImage:
    """Attenuation to the picture a monitor shows, float32 (rows, columns) in 0..1."""
    thickness = scene.body * (1 - 0.62 * np.clip(scene.air, 0, 1.3))
    density = thickness + scene.vessels + scene.bones + scene.extra * (scene.body > 0.05)
    rows, columns = density.shape
    small = Image.fromarray(density).resize((columns // 16, rows // 16), Image.Resampling.BOX)
    scatter = np.asarray(small.resize((columns, rows), Image.Resampling.BICUBIC), np.float32)
    density = density + rng.uniform(0.05, 0.3) * (scatter - density)
    grain = rng.standard_normal(density.shape, np.float32)
    grain += 1.5 * noise(rng, density.shape, rows // 3)
    density = density + rng.uniform(0.004, 0.016) * grain * (0.4 + density)
    low, high = rng.uniform(0.20, 0.30), rng.uniform(1.15, 1.55) * scene.anatomy.thickness**0.6
    t = np.clip((density - low) / (high - low), 0, 1)
    shown = t ** rng.uniform(0.85, 1.15)
    shown = np.asarray(0.97 * shown, np.float32)
    _marker(shown, rng)
    _collimate(shown, rng)
    return shown


def _marker(shown: Layer, rng: Rng) -> None:
    """The side letter of lead, burnt in as on any film."""
    rows, columns = shown.shape
    sheet = Image.new("L", (columns, rows))
    left = rng.random() < 0.5
    place = (columns * rng.uniform(0.86, 0.92) if left else columns * rng.uniform(0.05, 0.09),
             rows * rng.uniform(0.05, 0.14))  # fmt: skip
    font = ImageFont.load_default(size=max(8, rows // 18))
    ImageDraw.Draw(sheet).text(place, "L" if left else "R", fill=255, font=font)
    np.maximum(shown, np.asarray(sheet, np.float32) / 255, out=shown)


def _collimate(shown: Layer, rng: Rng) -> None:
    """Blank what lies outside the beam."""
    if rng.random() < 0.5:
        return
    rows, columns = shown.shape
    value = 0.0 if rng.random() < 0.8 else 1.0
    top, bottom = (int(rows * rng.uniform(0, 0.05)) for _ in range(2))
    left, right = (int(columns * rng.uniform(0, 0.05)) for _ in range(2))
    inside = np.zeros(shown.shape, bool)
    inside[top : rows - bottom, left : columns - right] = True
    shown[~inside] = value


def _uid(*parts: object) -> UID:
    """Under the root for UUIDs (PS3.5 B.2), from a hash instead of chance."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return UID(f"2.25.{int.from_bytes(digest[:16], 'big')}")


def _dicom(shown: Layer, about: dict[str, str], rng: Rng, key: str) -> tuple[bytes, str]:
    """A DX file (PS3.3 A.26) of the picture, and its SOPInstanceUID."""
    data = Dataset()
    meta = data.file_meta = FileMetaDataset()
    data.SOPClassUID = meta.MediaStorageSOPClassUID = UID(DIGITAL_X_RAY_FOR_PRESENTATION)
    data.SOPInstanceUID = meta.MediaStorageSOPInstanceUID = _uid("instance", key)
    meta.TransferSyntaxUID, meta.ImplementationClassUID = ExplicitVRLittleEndian, _uid("lynceus")
    data.StudyInstanceUID, data.SeriesInstanceUID = _uid("study", key), _uid("series", key)
    for keyword, value in {**FIXED, **about}.items():
        setattr(data, keyword, value)
    data.StudyDate, data.StudyTime = f"2026{rng.integers(1, 13):02d}01", f"{rng.integers(8, 18):02d}0000"
    _store_pixels(data, shown, rng)
    file = io.BytesIO()
    data.save_as(file, enforce_file_format=True)
    return file.getvalue(), str(data.SOPInstanceUID)


def _store_pixels(data: Dataset, shown: Layer, rng: Rng) -> None:
    bits, inverted = int(rng.choice(BITS)), bool(rng.random() < 0.3)
    top = 2**bits - 1
    stored = np.rint(shown * top).astype("<u2")
    data.Rows, data.Columns = shown.shape
    data.SamplesPerPixel, data.PixelRepresentation = 1, 0
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, bits, bits - 1
    data.PhotometricInterpretation = "MONOCHROME1" if inverted else "MONOCHROME2"
    data.PresentationLUTShape = "INVERSE" if inverted else "IDENTITY"
    data.PixelIntensityRelationshipSign = -1 if inverted else 1
    if rng.random() < 0.7:  # else the reader has to find its own window
        data.WindowCenter, data.WindowWidth = 2 ** (bits - 1), 2**bits
    data.PixelData = (top - stored if inverted else stored).astype("<u2").tobytes()
