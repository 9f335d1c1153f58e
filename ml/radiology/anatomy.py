"""One patient's proportions and how one film was taken, drawn from a seed.

Coordinates are isotropic, half the film's height is 1; x grows to the right of the picture, which is the
patient's left, y grows downwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Rng = np.random.Generator


@dataclass(frozen=True, slots=True)
class Anatomy:
    """One patient's proportions; lengths in halves of the film's height."""

    lung_width: float
    lung_top: float
    lung_base: float
    dome: float
    heart_ratio: float
    heart_tilt: float
    aorta: float
    rib_spacing: float
    rib_phase: float
    rib_contrast: float
    spine_bend: float
    thickness: float
    breasts: float
    vessels: float


@dataclass(frozen=True, slots=True)
class Pose:
    """How one film was taken."""

    columns_per_row: float
    zoom: float
    shift_x: float
    shift_y: float
    rotation: float
    inspiration: float
    heart_magnification: float


def draw_anatomy(rng: Rng, *, sex: str, age: int, enlarged_heart: bool) -> Anatomy:
    """An adult; the old have denser aortas and bent spines."""
    old = max(0.0, (age - 50) / 40)
    ratio = rng.uniform(0.52, 0.64) if enlarged_heart else rng.uniform(0.40, 0.515)
    return Anatomy(
        lung_width=rng.normal(0.72 if sex == "M" else 0.68, 0.035),
        lung_top=rng.normal(-0.80, 0.03),
        lung_base=rng.normal(0.42, 0.05),
        dome=rng.uniform(0.16, 0.28),
        heart_ratio=ratio,
        heart_tilt=rng.normal(0.55, 0.12),
        aorta=rng.uniform(0.075, 0.10) + 0.035 * old,
        rib_spacing=rng.uniform(0.118, 0.145),
        rib_phase=rng.uniform(0, 1),
        rib_contrast=rng.uniform(0.13, 0.21) * (1 - 0.3 * min(1.0, old)),
        spine_bend=rng.normal(0, 0.012 + 0.015 * old),
        thickness=rng.uniform(0.85, 1.25),
        breasts=rng.uniform(0.05, 0.17) if sex == "F" else rng.uniform(0, 0.03),
        vessels=rng.uniform(0.8, 1.25),
    )


def draw_pose(rng: Rng, view: str) -> Pose:
    """AP films are taken nearer to the heart and less deeply breathed in."""
    supine = view == "AP"
    return Pose(
        columns_per_row=rng.choice([0.82, 0.9, 1.0, 1.1, 1.18]),
        zoom=rng.uniform(0.93, 1.08),
        shift_x=rng.normal(0, 0.03),
        shift_y=rng.normal(0.02, 0.03),
        rotation=rng.normal(0, 0.025),
        inspiration=rng.normal(-0.05 if supine else 0.0, 0.035),
        heart_magnification=1.05 if supine else 1.0,
    )
