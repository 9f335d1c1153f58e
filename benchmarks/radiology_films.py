"""The published sets of films as frozen datasets, made once in a working folder."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from ml.radiology.contracts import DecodedImage, DicomRefused
from ml.radiology.importing import freeze_images
from ml.radiology.parsing import Limits
from ml.radiology.reading import read_film, read_films

Bytes = npt.NDArray[np.uint8]
FloatImage = npt.NDArray[np.float32]
PUBLISHED_28 = (
    ("ResNet-18 at 28 (MedMNIST v2)", 0.944, 0.854),
    ("ResNet-50 at 28 (MedMNIST v2)", 0.948, 0.854),
    ("auto-sklearn (MedMNIST v2)", 0.942, 0.855),
    ("AutoKeras (MedMNIST v2)", 0.947, 0.878),
    ("Google AutoML Vision (MedMNIST v2)", 0.991, 0.946),
    ("ResNet-18 at 28 (MedMNIST+)", 0.950, 0.831),
    ("VGG16 at 28 (MedMNIST+)", 0.970, 0.848),
    ("AlexNet at 28 (MedMNIST+)", 0.959, 0.851),
)
PUBLISHED_224 = (
    ("ResNet-18 at 224 (MedMNIST v2)", 0.956, 0.864),
    ("ResNet-50 at 224 (MedMNIST v2)", 0.962, 0.884),
    ("ResNet-18 at 224 (MedMNIST+)", 0.980, 0.911),
    ("DenseNet-121 at 224 (MedMNIST+)", 0.974, 0.889),
    ("VGG16 at 224 (MedMNIST+)", 0.985, 0.874),
    ("DINO ViT-B, linear probe at 224 (MedMNIST+)", 0.989, 0.916),
)


def data_folder(given: str | None) -> Path:
    return Path(given or os.environ.get("LYNCEUS_DATA", "../shared/data"))


def published_rows(rows: Iterable[tuple[str, float, float]]) -> list[dict[str, object]]:
    return [
        {"model": name, "auc": auc, "accuracy": accuracy, "test": "official"} for name, auc, accuracy in rows
    ]


def pneumonia_mnist(data: Path, work: Path) -> Path:
    """The official split of PneumoniaMNIST, 28 px, frozen; it names no patients, so each film is its own."""
    target = work / "mnist"
    if target.is_dir():
        return target
    films = work / "mnist-films"
    films.mkdir(parents=True, exist_ok=True)
    arrays = np.load(data / "radiology/pneumoniamnist.npz")
    rows = []
    for part in ("train", "val", "test"):
        for i, (image, label) in enumerate(
            zip(arrays[f"{part}_images"], arrays[f"{part}_labels"], strict=True)
        ):
            name = f"{part}-{i:05d}.png"
            Image.fromarray(image).save(films / name)
            rows.append({"file": name, "patient_id": name, "split": part, "Pneumonia": int(label[0])})
    freeze_images(films, write_table(films / "labels.csv", rows), ["Pneumonia"], target, "pneumoniamnist")
    return target


def kermany(data: Path, work: Path) -> Path:
    """The official training part at 224 px, split anew by patient: the official test is not here."""
    target = work / "kermany"
    if not target.is_dir():
        films = data / "radiology/kermany224_train.tar"
        freeze_images(films, data / "radiology/kermany224_train.csv", ["Pneumonia"], target, "kermany")
    return target


def adult_films(data: Path, limit: int = 300) -> list[FloatImage]:
    """NIH ChestX-ray14, the first films of the table."""
    with (data / "radiology/nih256.csv").open() as file:
        names = [row["file"] for row in csv.DictReader(file)][:limit]
    return [film.pixels for _, film in read_films(data / "radiology/nih256.tar", names, Limits())
            if isinstance(film, DecodedImage)]  # fmt: skip


def dicom_pictures(data: Path, *starts: str) -> list[FloatImage]:
    """The DICOM files whose names start so."""
    files = sorted(path for start in starts for path in (data / "dicom").glob(f"{start}*.dcm"))
    out = []
    for path in files:
        with suppress(DicomRefused):  # some are broken on purpose
            out.append(read_film(path, Limits()).pixels)
    return out


def photographs(side: int = 160, step: int = 96) -> list[FloatImage]:
    """scikit-learn's two photographs, as overlapping grey squares."""
    from sklearn.datasets import load_sample_images

    out = []
    for picture in load_sample_images().images:
        grey = np.asarray(Image.fromarray(picture).convert("L"), np.float32) / 255
        for top in range(0, grey.shape[0] - side + 1, step):
            out += [
                grey[top : top + side, left : left + side]
                for left in range(0, grey.shape[1] - side + 1, step)
            ]
    return out


def write_table(path: Path, rows: list[dict[str, object]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path
