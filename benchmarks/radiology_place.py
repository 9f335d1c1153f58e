"""An installation that analyses films, to measure; and films of three sizes, plain and compressed."""

from __future__ import annotations

import copy
import io
import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, generate_uid

from benchmarks.radiology_films import data_folder
from benchmarks.serving_place import (
    Place,
    free_port,
    installed,
    listens,
    manage,
    python,
    running,
    web,
    worker,
)
from ml.radiology.synthetic import synthetic_film

BACKBONE, SIDE = "mobilenetv2_100", 224
SIZES = (0.2, 2.0, 10.0)  # millions of bytes of a film as it is, two a pixel
DRAWN = 4  # films of each size; more are copies of them under other UIDs
TRAINING = 240
# In turns: half of the films as they are.
KINDS = (None, JPEGLSLossless, None, JPEG2000Lossless)


@dataclass(frozen=True, slots=True)
class Drawn:
    """Data sets by size in millions of bytes, as they are."""

    plain: dict[float, list[pydicom.Dataset]]

    def film(self, size: float, number: int, syntax: str | None = None) -> bytes:
        """A film of this size under UIDs nobody has seen, compressed without loss where `syntax` says so."""
        data = copy.copy(self.plain[size][number % DRAWN])
        data.file_meta = copy.copy(data.file_meta)
        if syntax:
            data = self._compressed(size, number % DRAWN, syntax)
        data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        data.StudyInstanceUID, data.SeriesInstanceUID = generate_uid(), generate_uid()
        buffer = io.BytesIO()
        data.save_as(buffer, enforce_file_format=True)
        return buffer.getvalue()

    def _compressed(self, size: float, number: int, syntax: str) -> pydicom.Dataset:
        data = copy.deepcopy(self.plain[size][number])
        data.compress(syntax, generate_instance_uid=False)
        return data

    def mixed(self, count: int) -> Iterator[bytes]:
        """Sizes and kinds in turns."""
        for number in range(count):
            size = SIZES[number % len(SIZES)]
            yield self.film(size, number, KINDS[number // len(SIZES) % len(KINDS)])


def draw(sizes: Sequence[float] = SIZES) -> Drawn:
    return Drawn({size: [_drawn(size, number) for number in range(DRAWN)] for size in sizes})


def _drawn(size: float, number: int) -> pydicom.Dataset:
    rows, columns = synthetic_film(41, number, rows=100).shown.shape
    rows = round(math.sqrt(size * 1e6 / 2 * rows / columns))
    return pydicom.dcmread(io.BytesIO(synthetic_film(41, number, rows=rows).content))


def with_model(var: Path) -> Place:
    """A network at 224 px in service, taught for one epoch: what it says does not matter here."""
    var.mkdir()
    place = installed(
        var, LYNCEUS_DICOM_PORT=str(free_port()), LYNCEUS_BACKBONE_DIR=str(weights_folder()),
    )  # fmt: skip
    manage(place, "simulate_films", "--name", "serving", "--films", str(TRAINING), "--rows", "640")
    params = {"backbone": f'"{BACKBONE}"', "image_size": SIDE, "epochs": 1, "target_sensitivity": 0.5}
    given = [word for name, value in params.items() for word in ("--param", f"{name}={value}")]
    manage(place, "train", "radiology", "--dataset", "serving", "--preset", "full", *given, "--promote",
           "--json", str(var / "trained.json"))  # fmt: skip
    return place


def weights_folder() -> Path:
    return (data_folder(None) / "weights").resolve()


def artefact(place: Place) -> Path:
    """The folder of the model in service."""
    code = (
        "import django; django.setup()\n"
        "from apps.modelops.common.selectors import artefact_dir, champion\n"
        "print(artefact_dir(champion('radiology')))"
    )
    return Path(python(place, "-c", code).strip())


@contextmanager
def imaging(place: Place) -> Iterator[None]:
    """Redis, the web and one imaging worker."""
    with ExitStack() as stack:
        stack.enter_context(running(place, "-m", "demo.redis"))
        stack.enter_context(web(place, 1, 4))
        stack.enter_context(worker(place, 1, "imaging"))
        yield


@contextmanager
def listener(place: Place) -> Iterator[int]:
    """Its port, once it listens."""
    port = int(place.environment["LYNCEUS_DICOM_PORT"])
    with running(place, "manage.py", "dicom_listener"):
        listens(port)
        yield port
