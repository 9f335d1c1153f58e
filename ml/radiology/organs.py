"""What X-rays pass through in a chest, a layer an organ: float32 (rows, columns), arbitrary attenuation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from ml.radiology.anatomy import Anatomy, Pose, Rng

Layer = npt.NDArray[np.floating]
Points = npt.NDArray[np.floating]
ToPixels = Callable[[Points], list[tuple[float, float]]]
SIDES = (-1, 1)  # patient's right, patient's left


def ramp(z: Layer) -> npt.NDArray[np.float32]:
    """0 below -1, 1 above 1, smooth between: a cheap sigmoid."""
    t = np.multiply(z, np.float32(0.5), dtype=np.float32)
    t += np.float32(0.5)
    np.clip(t, 0, 1, out=t)
    smooth = np.multiply(t, np.float32(-2))
    smooth += np.float32(3)
    smooth *= t
    smooth *= t
    return smooth


def noise(rng: Rng, shape: tuple[int, int], cells: int) -> Layer:
    """Smooth noise, mean 0 and deviation about 1, with `cells` bumps along the height."""
    small = rng.standard_normal((cells + 1, max(2, round(cells * shape[1] / shape[0])) + 1))
    image = Image.fromarray(small.astype(np.float32))
    return np.asarray(image.resize((shape[1], shape[0]), Image.Resampling.BICUBIC), np.float32)


def lung(anatomy: Anatomy, pose: Pose, x: Layer, y: Layer, side: int, edge: float = 0.02) -> Layer:
    """How far inside one pleural cavity, 0..1."""
    base = anatomy.lung_base + pose.inspiration + (0.0 if side < 0 else 0.05)
    width = anatomy.lung_width
    u = side * x
    down = np.clip((y - anatomy.lung_top) / (base + anatomy.dome - anatomy.lung_top), 0, 1)
    lateral = width * _narrowing(down)
    medial = 0.07 + 0.14 * np.clip(1 - 3.2 * down, 0, 1) ** 2
    v = (u - 0.42 * width) / (0.58 * width)
    floor = base + anatomy.dome * np.where(v > 0, v * v, 0.35 * v * v)
    return ramp((u - medial) / edge) * ramp((lateral - u) / edge) * ramp((floor - y) / edge)


def _narrowing(down: Layer) -> Layer:
    """The chest's half width towards its top, relative to its widest; `down` is 0 at the top, 1 below."""
    return np.asarray(np.sqrt(np.clip(1 - (1 - down) ** 3.6, 0, 1)) * (0.92 + 0.10 * down), np.float32)


def _ellipse(x: Layer, y: Layer, at: tuple[float, float], radii: tuple[float, float], edge: float) -> Layer:
    distance = np.sqrt(((x - at[0]) / radii[0]) ** 2 + ((y - at[1]) / radii[1]) ** 2)
    return ramp((1 - distance) * min(radii) / edge)


def heart(anatomy: Anatomy, pose: Pose, x: Layer, y: Layer) -> Layer:
    """Two thirds of its width lie left of the midline; `heart_ratio` is of the inner chest's width."""
    half = anatomy.heart_ratio * anatomy.lung_width * pose.heart_magnification
    base = anatomy.lung_base + pose.inspiration
    at = (0.34 * half, base - 0.55 * half)
    cos, sin = math.cos(anatomy.heart_tilt), math.sin(anatomy.heart_tilt)
    along = cos * (x - at[0]) + sin * (y - at[1])
    across = -sin * (x - at[0]) + cos * (y - at[1])
    return _ellipse(along, across, (0.0, 0.0), (1.10 * half, 0.82 * half), 0.022)


def mediastinum(anatomy: Anatomy, x: Layer, y: Layer) -> Layer:
    width = 0.115 + 0.03 * ramp((y + 0.1) / 0.3)
    trunk = ramp((width - np.abs(x - 0.015)) / 0.02)
    knob = _ellipse(x, y, (0.10, -0.30), (anatomy.aorta, 0.11), 0.02)
    descending = ramp((0.075 - np.abs(x - 0.10)) / 0.02) * ramp((y + 0.3) / 0.1)
    return np.asarray(np.maximum(np.maximum(trunk, knob), 0.8 * descending), np.float32)


def trachea(x: Layer, y: Layer) -> Layer:
    column = ramp((0.04 - np.abs(x + 0.012)) / 0.015) * ramp((-0.14 - y) / 0.03)
    fork = y + 0.16
    bronchi = (
        ramp((0.028 - np.abs(np.abs(x) - 0.55 * fork)) / 0.015)
        * ramp(fork / 0.03)
        * ramp((0.2 - fork) / 0.06)
    )
    return np.asarray(np.maximum(column, 0.7 * bronchi), np.float32)


def stomach(anatomy: Anatomy, pose: Pose, x: Layer, y: Layer, rng: Rng) -> Layer:
    at = (rng.uniform(0.22, 0.36), anatomy.lung_base + pose.inspiration + rng.uniform(0.16, 0.22))
    return rng.uniform(0, 0.5) * _ellipse(x, y, at, (rng.uniform(0.08, 0.16), rng.uniform(0.05, 0.09)), 0.03)


def body(anatomy: Anatomy, x: Layer, y: Layer) -> Layer:
    """Thickness of soft tissue: neck, sloping shoulders, trunk."""
    trunk = anatomy.lung_width + 0.10 + 0.10 * anatomy.thickness
    shoulders = 0.24 + 1.0 * ramp((y + 0.86 - 0.10 * np.abs(x)) / 0.16)
    waist = trunk + 2.2 * np.clip(-0.12 - y, 0, None) ** 1.3
    half = np.minimum(shoulders, waist)
    depth = np.sqrt(np.clip(1 - (np.abs(x) / half) ** 2.4, 0, 1))
    belly = 0.35 * ramp((y - 0.42) / 0.25)
    return np.asarray(anatomy.thickness * depth * (0.80 + 0.12 * np.abs(x) + belly), np.float32)


def ribs(anatomy: Anatomy, x: Layer, y: Layer, rng: Rng) -> Layer:
    """Every rib at once: bands are periodic along y after the cage's curve is taken off."""
    u = np.abs(x) / anatomy.lung_width
    wobble = 0.06 * noise(rng, x.shape, 3)
    down = np.clip(
        (y - anatomy.lung_top + 0.07) / (anatomy.lung_base + anatomy.dome - anatomy.lung_top), 0, 1
    )
    limit = _narrowing(down) + 0.07
    inside = ramp((limit - u) / 0.04) * ramp((u - 0.11) / 0.04)
    bend = -0.12 * u + (0.30 - 0.22 * y) * np.clip(u, 0, 1.2) ** 2.3
    back = _band((y - bend) / anatomy.rib_spacing + anatomy.rib_phase + wobble, 0.27)
    front_bend = -0.52 * u + 0.12 * u * u
    front = _band((y - front_bend) / (1.12 * anatomy.rib_spacing) + 0.4 + wobble, 0.33)
    front *= ramp((u - 0.42) / 0.12) * ramp((y + 0.62) / 0.1)
    cage = ramp((y - anatomy.lung_top + 0.05) / 0.04) * (
        1 - 0.75 * ramp((y - anatomy.lung_base - 0.05) / 0.25)
    )
    rim = 0.55 * ramp((0.035 - np.abs(u - limit)) / 0.05) * back
    return anatomy.rib_contrast * cage * (inside * (back + 0.45 * front) + rim)


def _band(phase: Layer, half: float) -> Layer:
    """Bands of relative half width `half` with brighter cortical edges."""
    off = np.abs(phase - np.round(phase))
    plate = ramp((half - off) / 0.07)
    return np.asarray(plate * (0.62 + 0.38 * ramp((off - half + 0.13) / 0.07)), np.float32)


def spine(anatomy: Anatomy, x: Layer, y: Layer) -> Layer:
    middle = anatomy.spine_bend * np.sin(2.2 * y)
    bodies = 0.7 + 0.3 * ramp((0.36 - np.abs((y / 0.135) % 1 - 0.5)) / 0.08)
    column = ramp((0.075 - np.abs(x - middle)) / 0.015) * bodies
    processes = ramp((0.018 - np.abs(x - middle)) / 0.012) * ramp((0.3 - np.abs((y / 0.135) % 1 - 0.4)) / 0.1)
    return np.asarray(0.13 * column + 0.04 * processes, np.float32)


def _pixel_map(x: Layer, y: Layer) -> ToPixels:
    """Chest coordinates (n, 2) to pixels (column, row); the grid is affine, so it is inverted once."""
    steps = [[x[0, 1] - x[0, 0], x[1, 0] - x[0, 0]], [y[0, 1] - y[0, 0], y[1, 0] - y[0, 0]]]
    inverse, corner = np.linalg.inv(np.array(steps, np.float64)).T, np.array([x[0, 0], y[0, 0]])
    return lambda points: [(float(c), float(r)) for c, r in (points - corner) @ inverse]


def shoulders(x: Layer, y: Layer, rng: Rng) -> Layer:
    """Clavicles and the inner borders of the shoulder blades."""
    rows, columns = x.shape
    to_pixels = _pixel_map(x, y)
    sheet = Image.new("L", (columns, rows))
    pen = ImageDraw.Draw(sheet)
    t = np.linspace(0, 1, 14)
    rise, wide = rng.uniform(0.06, 0.16), rng.uniform(0.30, 0.44)
    for side in SIDES:
        clavicle = np.stack([side * (0.07 + 0.62 * t), -0.60 - rise * t - 0.025 * np.sin(6.0 * t)], 1)
        pen.line(to_pixels(clavicle), fill=150, width=max(2, round(rows * 0.028)), joint="curve")
        blade = np.stack([side * (0.60 + 0.5 * wide * t + 0.03 * np.sin(9 * t)), -0.52 + 0.62 * (1 - t)], 1)
        corner = np.array([[side * (0.66 + wide), -0.62], [side * (0.66 + wide), -0.2]])
        pen.polygon(to_pixels(np.concatenate([blade, corner])), fill=45)
    soft = sheet.filter(ImageFilter.GaussianBlur(rows * 0.006))
    return np.asarray(soft, np.float32) * np.float32(0.20 / 150)


def vessels(x: Layer, y: Layer, rng: Rng) -> Layer:
    """Branches that leave the hila and thin out, drawn at twice the size."""
    rows, columns = x.shape
    to_pixels = _pixel_map(x, y)
    sheet = Image.new("L", (columns * 2, rows * 2))
    pen = ImageDraw.Draw(sheet)
    for side in SIDES:
        hilum = np.array([side * 0.15, -0.06 if side > 0 else -0.02])
        for angle in np.linspace(-1.35, 1.5, 9) + rng.normal(0, 0.12, 9):
            start = hilum + rng.normal(0, 0.015, 2)
            for depth, points in _branches(start, np.array([side * np.cos(angle), np.sin(angle)]), 0, rng):
                pixels = [(2 * c, 2 * r) for c, r in to_pixels(points)]
                width = max(1, round(rows * 0.030 * 0.62**depth))
                pen.line(pixels, fill=130 - 22 * depth, width=width)
        column, row = to_pixels(hilum[None])[0]
        size = rows * 0.05
        box = (2 * column - size, 2 * row - 1.6 * size, 2 * column + size, 2 * row + 1.6 * size)
        pen.ellipse(box, fill=120)
    small = sheet.filter(ImageFilter.BoxBlur(rows * 0.008)).reduce(2)
    return np.asarray(small, np.float32) * np.float32(0.24 / 150)


def _branches(at: Points, heading: Points, depth: int, rng: Rng) -> Iterator[tuple[int, Points]]:
    """Three bent pieces, then two thinner branches, as (depth, points (4, 2))."""
    points = [at]
    for turn in rng.normal(0, 0.16, 3):
        heading = _turned(heading, turn)
        points.append(points[-1] + heading * (0.075 - 0.008 * depth))
    yield depth, np.array(points)
    if depth < 3:
        for spread in (-0.35, 0.35):
            turn = spread + rng.normal(0, 0.15)
            yield from _branches(points[-1], _turned(heading, turn), depth + 1, rng)


def _turned(heading: Points, angle: float) -> Points:
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([cos * heading[0] - sin * heading[1], sin * heading[0] + cos * heading[1]])


def breasts(anatomy: Anatomy, x: Layer, y: Layer, rng: Rng) -> Layer:
    drop = rng.uniform(0.20, 0.42)
    pair = [_ellipse(x, y, (side * 0.42, drop), (0.33, 0.27), 0.10) for side in SIDES]
    return anatomy.breasts * (pair[0] + pair[1])
