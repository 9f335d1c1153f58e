"""How well a model trained on children's chest films knows what is not its to judge.

    python -m benchmarks.radiology_gate [DATA] [--work FOLDER]

The artefact is the one that `benchmarks.radiology_pneumonia` leaves in the working folder. Good films are the
test part of the same set, whose patients neither the network nor the gate's limit ever saw.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.radiology_films import adult_films, data_folder, dicom_pictures, kermany, photographs
from benchmarks.report import report
from ml.common.metrics import roc_auc
from ml.radiology.importing import load_frozen
from ml.radiology.predict import RadiologyPredictor

Floats = npt.NDArray[np.floating]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", nargs="?")
    parser.add_argument("--work", default="var/benchmarks/radiology")
    given = parser.parse_args()
    data, work = data_folder(given.data), Path(given.work)
    predictor = RadiologyPredictor.load(work / "cross-run")
    dataset = load_frozen(kermany(data, work))
    rows = np.flatnonzero(dataset.table["split"] == "test")
    films = [dataset.film(row).astype(np.float32) / 255 for row in rows]
    good = _scores(predictor, films)
    some = films[:200]
    odd = {
        "hands_and_hips": dicom_pictures(data, "dicom-test-files__RG2", "dicom-test-files__RG3"),
        "ct": dicom_pictures(
            data, "cornerstone3D__CT", "pydicom__CT", "pydicom__J2K", "pydicom-data__explicit"
        ),
        "photographs": photographs(),
        "inverted": [1 - film for film in some],
        "rotated_90": [np.rot90(film).copy() for film in some],
        "rotated_180": [np.rot90(film, 2).copy() for film in some],
        "adults": adult_films(data),
    }
    table: list[dict[str, Any]] = []
    limit = predictor.image_gate.limit
    measures = {"good_film_rejection": float(np.mean(good > limit))}
    for name, pictures in odd.items():
        scores = _scores(predictor, pictures)
        labels = np.repeat([0, 1], [len(good), len(scores)])
        auroc = roc_auc(labels, np.concatenate([good, scores]))
        rejected = float(np.mean(scores > limit))
        table.append({"set": name, "n": len(scores), "auroc": auroc, "turned away": rejected})
        measures |= {f"ood_auroc_{name}": auroc or 0.0, f"rejection_{name}": rejected}
    table.append({"set": "good films", "n": len(good), "turned away": measures["good_film_rejection"]})
    report("radiology_gate", table, measures, artefact=predictor.artefact_hash)


def _scores(predictor: RadiologyPredictor, pictures: list[npt.NDArray[np.float32]]) -> Floats:
    return predictor.unusual(predictor.preprocessing.squares(pictures))


if __name__ == "__main__":
    main()
