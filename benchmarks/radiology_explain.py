"""Does the model look where the finding is? The pointing game on synthetic films, whose masks are known.

    python -m benchmarks.radiology_explain [DATA] [--work FOLDER]

A network is trained from DATA's weights on films of one seed and plays on films of another. A hit is a peak
of the attention inside the finding's mask (Zhang et al. 2018); chance is the mask's share of the film.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.radiology_films import data_folder
from benchmarks.report import report
from ml.common.contracts import TrainRequest
from ml.radiology.explain import grad_cam, on_film, peak
from ml.radiology.importing import freeze_images
from ml.radiology.predict import RadiologyPredictor, onnx_outputs
from ml.radiology.synthetic import LABELS, synthetic_film, write_films
from ml.radiology.train import train

FILMS, PLAYED, ROWS = 700, 250, 256
PARAMS = {"backbone": "mobilenetv2_100", "image_size": 160, "epochs": 6, "batch_size": 16, "augment": 0.5,
          "patience": 6, "target_sensitivity": 0.8}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", nargs="?")
    parser.add_argument("--work", default="var/benchmarks/radiology")
    given = parser.parse_args()
    torch.set_num_threads(1)
    predictor = _model(data_folder(given.data), Path(given.work))
    table = _play(predictor)
    hits, chance = (float(np.average([row[name] for row in table], weights=[row["n"] for row in table]))
                    for name in ("hits", "chance"))  # fmt: skip
    measures = {"pointing_game": hits, "pointing_chance": chance}
    for row in table:
        name = row["finding"].lower().replace(" ", "_")
        measures |= {f"pointing_game_{name}": row["hits"], f"pointing_chance_{name}": row["chance"]}
    report("radiology_explain", table, measures, settings=PARAMS)


def _model(data: Path, work: Path) -> RadiologyPredictor:
    films, dataset, output = work / "drawn", work / "drawn-frozen", work / "explain-run"
    if not dataset.is_dir():
        freeze_images(films, write_films(films, FILMS, seed=21, rows=ROWS), list(LABELS), dataset, "drawn")
    if not output.is_dir():
        checkpoints = work / "explain-checkpoints"
        checkpoints.mkdir(exist_ok=True)
        train(TrainRequest(dataset, output, checkpoints, PARAMS, device="cpu", resume=True,
                           weights_dir=data / "weights"), lambda event: None)  # fmt: skip
    return RadiologyPredictor.load(output)


def _play(predictor: RadiologyPredictor) -> list[dict[str, Any]]:
    """Each film with a finding plays for it, whether or not it was called."""
    hits: dict[str, list[bool]] = {}
    chances: dict[str, list[float]] = {}
    for index in range(PLAYED):
        film = synthetic_film(22, index, rows=ROWS)
        squares = predictor.preprocessing.squares([film.shown])
        [maps] = onnx_outputs(predictor.session, predictor.preprocessing, squares, "maps")["maps"]
        for i, label in enumerate(predictor.labels):
            if label in film.masks and film.masks[label].any():
                mask = film.masks[label]
                row, column = peak(on_film(grad_cam(maps, predictor.head[i]), mask.shape))
                hits.setdefault(label, []).append(
                    bool(mask[int(row * len(mask)), int(column * mask.shape[1])])
                )
                chances.setdefault(label, []).append(float(mask.mean()))
    return [
        {"finding": label, "n": len(of), "hits": float(np.mean(of)), "chance": float(np.mean(chances[label]))}
        for label, of in sorted(hits.items())
    ]


if __name__ == "__main__":
    main()
