"""Within an installation: one more version of its fraud model, which scores everything otherwise.

python -m tests.integration.sibling
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import django
import numpy as np
from safetensors.numpy import load, save

django.setup()

from apps.modelops.common.places import artefact_folder  # noqa: E402
from apps.modelops.common.selectors import artefact_dir, champion  # noqa: E402
from apps.modelops.models import ModelVersion, TrainingJob  # noqa: E402
from ml.common.artefact import npz_bytes, open_artefact, write_artefact  # noqa: E402
from ml.fraud.rnn import Gru  # noqa: E402

LEARNT = {"w_ih", "w_hh", "b_ih", "b_hh", "w_mid", "b_mid", "w_out", "b_out"}


def altered(folder: Path) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Another network, so another memory of each card; and with it other golden answers."""
    artefact = open_artefact(folder)
    arrays = load(artefact.path("weights.safetensors").read_bytes())
    arrays = {name: (one * np.float32(1.3) if name in LEARNT else one) for name, one in arrays.items()}
    gru, golden = Gru.from_arrays(arrays), artefact.golden()
    hidden, logits = None, []
    for vector in golden["sequence"]:
        logit, hidden = gru.step(vector[:-1], vector[-1], hidden)
        logits.append(logit)
    files = {
        "weights.safetensors": save(arrays),
        "trees.ubj": artefact.path("trees.ubj").read_bytes(),
        "golden.npz": npz_bytes(**{**golden, "logits": np.array(logits)}),
    }
    return files, dict(artefact.meta)


def main() -> None:
    first = champion("fraud")
    assert first is not None
    files, meta = altered(artefact_dir(first))
    with tempfile.TemporaryDirectory(dir=artefact_dir(first).parent) as folder:
        made = Path(folder) / "made"
        artefact_hash = write_artefact(made, kind="fraud", files=files, meta=meta)
        made.rename(artefact_folder(artefact_hash))
    job = TrainingJob.objects.create(
        site=first.dataset.site, domain="fraud", dataset=first.dataset, preset="tiny", status="succeeded"
    )
    newest = ModelVersion.objects.filter(model=first.model).latest("number")
    ModelVersion.objects.create(
        model=first.model,
        number=newest.number + 1,
        artefact_hash=artefact_hash,
        dataset=first.dataset,
        job=job,
    )


if __name__ == "__main__":
    main()
