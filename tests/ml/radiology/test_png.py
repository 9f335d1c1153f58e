"""Our own PNG: what others read out of it is what went in."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from ml.radiology.decoder import PICTURE_SIDE, _drawn, _grey
from ml.radiology.png import glass_png, grey_png


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (300, 7), (64, 200)])
def test_it_works(shape) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    image = Image.open(io.BytesIO(grey_png(pixels)))
    image.verify()  # the checksums
    image = Image.open(io.BytesIO(grey_png(pixels)))
    assert image.mode == "L" and np.array_equal(np.asarray(image), pixels)


def test_glass_has_one_colour_and_is_as_opaque_as_asked() -> None:
    opacity = np.arange(256, dtype=np.uint8).reshape(16, 16)
    shown = np.asarray(Image.open(io.BytesIO(glass_png(opacity, (255, 176, 32)))).convert("RGBA"))
    assert np.array_equal(shown[..., 3], opacity)
    assert (shown[..., :3] == (255, 176, 32)).all()


def test_a_large_film_is_made_smaller_and_keeps_its_shape() -> None:
    film = _grey(np.ones((2 * PICTURE_SIDE, PICTURE_SIDE), np.float32))
    image = Image.open(io.BytesIO(_drawn(film, "PNG", PICTURE_SIDE)))
    assert image.size == (PICTURE_SIDE // 2, PICTURE_SIDE)
    assert image.getpixel((0, 0)) == 255
