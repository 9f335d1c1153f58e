"""Findings drawn into a scene, each with its true mask; and harmless things that look a little like them."""

from __future__ import annotations

import math

import numpy as np

from ml.radiology.anatomy import Rng
from ml.radiology.organs import Layer, lung, noise, ramp
from ml.radiology.thorax import Scene

LABELS = ("Consolidation", "Effusion", "Nodule", "Pneumothorax", "Cardiomegaly")


def add_finding(scene: Scene, label: str, rng: Rng) -> None:
    """Change the scene's layers and keep the mask. An enlarged heart is anatomy: only its mask is kept."""
    _DRAW[label](scene, rng)


def add_distractors(scene: Scene, rng: Rng) -> None:
    """Skin folds, nipples and wires, whatever the findings."""
    if rng.random() < 0.35:
        _skin_fold(scene, rng)
    if rng.random() < 0.30:
        for side in (-1, 1):
            _spot(scene, (side * rng.uniform(0.36, 0.46), rng.uniform(0.16, 0.34)), 0.022, 0.07)
    if rng.random() < 0.35:
        _wire(scene, rng)


def _place(scene: Scene, rng: Rng, low: float, high: float) -> tuple[float, float, int]:
    """A point well inside a lung, clear of the heart, `low` to `high` being relative height."""
    a = scene.anatomy
    while True:
        side = int(rng.choice((-1, 1)))
        y = a.lung_top + (a.lung_base + scene.pose.inspiration - a.lung_top) * rng.uniform(low, high)
        x = side * rng.uniform(0.18, 0.92) * a.lung_width
        point = np.full((1, 1), x, np.float32), np.full((1, 1), y, np.float32)
        inside = lung(a, scene.pose, *point, side, edge=0.10)[0, 0]
        row, column = np.unravel_index(int(np.argmin((scene.x - x) ** 2 + (scene.y - y) ** 2)), scene.x.shape)
        if inside > 0.75 and scene.heart[row, column] < 0.1:
            return x, y, side


def _consolidation(scene: Scene, rng: Rng) -> None:
    x, y, side = _place(scene, rng, 0.15, 0.95)
    wide, tall = rng.uniform(0.13, 0.30), rng.uniform(0.11, 0.26)
    distance = np.sqrt(((scene.x - x) / wide) ** 2 + ((scene.y - y) / tall) ** 2)
    edge = distance + 0.28 * noise(rng, scene.x.shape, 9) + 0.12 * noise(rng, scene.x.shape, 24)
    blob = ramp((0.9 - edge) / 0.35) * scene.lungs[side]
    patchy = np.clip(0.85 + 0.2 * noise(rng, scene.x.shape, 30), 0, 1)
    scene.masks["Consolidation"] = (blob > 0.4) & (scene.lungs[side] > 0.5)
    scene.air *= 1 - rng.uniform(0.40, 0.75) * blob * patchy
    scene.vessels *= 1 - 0.8 * blob


def _effusion(scene: Scene, rng: Rng) -> None:
    a, side = scene.anatomy, int(rng.choice((-1, 1)))
    base = a.lung_base + scene.pose.inspiration + a.dome
    out = np.clip(side * scene.x / a.lung_width, 0, 1.1)
    height = 0.10 + 0.42 * rng.random() ** 1.5
    level = base - height * (0.45 + 0.55 * out**2.5) - 0.01 * noise(rng, scene.x.shape, 5)
    fluid = ramp((scene.y - level) / rng.uniform(0.03, 0.07)) * scene.lungs[side]
    scene.masks["Effusion"] = (fluid > 0.5) & (scene.lungs[side] > 0.5)
    scene.air *= 1 - rng.uniform(0.55, 0.95) * fluid
    scene.vessels *= 1 - fluid


def _nodule(scene: Scene, rng: Rng) -> None:
    x, y, side = _place(scene, rng, 0.08, 0.92)
    radius = rng.uniform(0.035, 0.085)
    squeeze, turn = rng.uniform(0.85, 1.18), rng.uniform(0, np.pi)
    dx, dy = scene.x - x, scene.y - y
    along, across = math.cos(turn) * dx + math.sin(turn) * dy, math.cos(turn) * dy - math.sin(turn) * dx
    distance = np.sqrt((along * squeeze) ** 2 + (across / squeeze) ** 2)
    disc = ramp((radius - distance) / (0.3 * radius)) * scene.lungs[side]
    scene.masks["Nodule"] = (disc > 0.5) & (scene.lungs[side] > 0.5)
    depth = np.sqrt(np.clip(1.2 - (distance / radius) ** 2, 0, 1))
    scene.extra += rng.uniform(0.16, 0.36) * disc * depth


def _pneumothorax(scene: Scene, rng: Rng) -> None:
    """The lung shrinks towards its root; above and beside it lies air without vessels."""
    a, side = scene.anatomy, int(rng.choice((-1, 1)))
    shrink = rng.uniform(0.78, 0.955)
    root = side * 0.12, 0.12
    x, y = (scene.x - root[0]) / shrink + root[0], (scene.y - root[1]) / shrink + root[1]
    y = np.minimum(y, a.lung_base - 0.1)  # the base stays on the diaphragm
    lung_left = lung(a, scene.pose, x, y.astype(np.float32), side, edge=0.012 / shrink)
    free = scene.lungs[side] * (1 - lung_left) * ramp((side * scene.x - 0.12) / 0.05)
    scene.masks["Pneumothorax"] = (free > 0.5) & (scene.lungs[side] > 0.5)
    scene.vessels *= 1 - free
    scene.air *= 1 + 0.10 * free - rng.uniform(0.0, 0.08) * lung_left
    line = 4 * lung_left * (1 - lung_left) * scene.lungs[side] * ramp((side * scene.x - 0.14) / 0.05)
    scene.extra += rng.uniform(0.04, 0.10) * line


def _cardiomegaly(scene: Scene, rng: Rng) -> None:
    scene.masks["Cardiomegaly"] = np.asarray(scene.heart > 0.5)


def _spot(scene: Scene, at: tuple[float, float], radius: float, density: float) -> None:
    distance = np.hypot(scene.x - at[0], scene.y - at[1])
    scene.extra += density * ramp((radius - distance) / 0.012)


def _skin_fold(scene: Scene, rng: Rng) -> None:
    """A long edge, with vessels on both sides of it."""
    side = int(rng.choice((-1, 1)))
    line = side * scene.x - rng.uniform(0.35, 0.6) - rng.uniform(-0.3, 0.3) * scene.y
    shade: Layer = ramp(line / 0.01) * np.exp(-np.clip(line, 0, None) / 0.08)
    scene.extra += rng.uniform(0.03, 0.08) * shade * ramp((0.5 - np.abs(scene.y)) / 0.2)


def _wire(scene: Scene, rng: Rng) -> None:
    start, lean, wave = rng.uniform(-0.5, 0.5), rng.uniform(-0.5, 0.5), rng.uniform(0, 6)
    middle = start + lean * scene.y + 0.2 * np.sin(2 * scene.y + wave)
    wire = ramp((0.008 - np.abs(scene.x - middle)) / 0.006)
    scene.extra += 0.25 * wire * ramp((scene.y - rng.uniform(-0.9, 0)) / 0.02)


_DRAW = {
    "Consolidation": _consolidation,
    "Effusion": _effusion,
    "Nodule": _nodule,
    "Pneumothorax": _pneumothorax,
    "Cardiomegaly": _cardiomegaly,
}
