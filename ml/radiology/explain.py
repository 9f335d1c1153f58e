"""Where the network looked: Grad-CAM (Selvaraju et al. 2017), free of torch.

Where a network's head is linear on the mean of its last maps, the gradient of a finding's logit by those maps
is the finding's weight, the same at every place. So Grad-CAM needs no backward pass: ONNX Runtime serves it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from ml.radiology.png import glass_png
from ml.radiology.transforms import Bytes

Floats = npt.NDArray[np.floating]
COLOUR, OPAQUE = (255, 176, 32), 0.6
SIDE = 256  # the longer side of what is kept: the maps are coarse


def grad_cam(maps: Floats, weights: Floats) -> Floats:
    """Maps (channels, rows, columns) and a finding's weights (channels,) to (rows, columns) in 0..1."""
    seen = np.maximum(np.tensordot(weights, maps, 1), 0)
    top = seen.max()
    return seen / top if top > 0 else seen


def on_film(cam: Floats, shape: tuple[int, int], side: int = SIDE) -> Bytes:
    """From the network's square to the film of `shape`: uint8, its proportions, `side` at the longer side.

    The square holds the film in its middle; what looks at the black beside it is cut off.
    """
    rows, columns = shape
    scale = side / max(rows, columns)
    height, width = max(1, round(rows * scale)), max(1, round(columns * scale))
    square = Image.fromarray(np.asarray(cam, np.float32)).resize((side, side), Image.Resampling.BILINEAR)
    top, left = (side - height) // 2, (side - width) // 2
    shown = np.asarray(square)[top : top + height, left : left + width]
    return np.asarray(np.clip(shown * 255 + 0.5, 0, 255), np.uint8)


def peak(attention: Bytes) -> tuple[float, float]:
    """The place looked at most, as shares (row, column) of the film's height and width."""
    row, column = np.unravel_index(int(np.argmax(attention)), attention.shape)
    return (row + 0.5) / attention.shape[0], (column + 0.5) / attention.shape[1]


def overlay_png(attention: Bytes) -> bytes:
    """A PNG to lay over the film: one colour, the more opaque the more the model looked there."""
    return glass_png((attention * OPAQUE).astype(np.uint8), COLOUR)
