"""A trained network on a graphics card, asked as ONNX Runtime is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch

from ml.common.artefact import Artefact
from ml.radiology.model import OUTPUTS, Served, open_network

Floats = npt.NDArray[np.float32]


class TorchSession:
    """The weights of an artefact on `device`, in full precision: golden inputs are held against it too."""

    def __init__(self, artefact: Artefact, device: str) -> None:
        torch.backends.cudnn.allow_tf32 = False
        self._device = device
        self._served = Served(open_network(artefact)).to(device).eval()

    @torch.no_grad()
    def run(self, names: Sequence[str], given: Mapping[str, Floats]) -> list[Floats]:
        """`films` (n, 1, side, side) to the outputs named (ml/radiology/model.py)."""
        found = self._served(torch.from_numpy(given["films"]).to(self._device))
        by_name = dict(zip(OUTPUTS, found, strict=True))
        return [by_name[name].cpu().numpy() for name in names]
