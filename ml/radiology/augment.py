"""What a radiograph may be changed to and still be a radiograph of the same findings.

Turned by 10 degrees at most, zoomed, shifted, relit, made noisy, its corners covered. Never flipped: side and
heart position are signal.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

MAX_TURN_DEGREES = 10.0
NOISE, COVERED, MAX_COVER = 0.02, 0.3, 0.2


def augment(grey: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Grey in 0..1, float32 (n, 1, side, side), to the same; `generator`, of the same device, draws."""
    n = len(grey)

    def within(limit: float) -> Tensor:
        drawn = torch.rand(n, generator=generator, device=generator.device)
        return (drawn * 2 - 1) * (limit * strength)

    turn = min(7.0 * strength, MAX_TURN_DEGREES) / max(strength, 1e-9)
    angle, zoom = within(math.radians(turn)), torch.exp(within(0.10))
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    rows = [torch.stack([cos, -sin, within(0.07)], 1), torch.stack([sin, cos, within(0.07)], 1)]
    grid = functional.affine_grid(torch.stack(rows, 1), list(grey.shape), align_corners=False)
    moved = functional.grid_sample(grey, grid, align_corners=False)
    gamma, gain, lift = torch.exp(within(0.25)), torch.exp(within(0.12)), within(0.05)
    lit = [one.view(n, 1, 1, 1) for one in (gamma, gain, lift)]
    shown = moved.clamp(1e-4, 1) ** lit[0] * lit[1] + lit[2]
    grain = torch.randn(grey.shape, generator=generator, device=generator.device)
    noisy = shown + grain * within(NOISE).abs().view(n, 1, 1, 1)
    return cover_corners(noisy.clamp(0, 1), min(1.0, COVERED * strength), generator)


def cover_corners(grey: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Black over one corner of this share of the films: side marks and burnt-in text must not be learnt."""
    side = grey.shape[-1]
    draws = torch.rand(len(grey), 4, generator=generator, device=generator.device)
    whether, which, height, width = draws.unsqueeze(-1).unbind(1)
    rows, columns = ((side * MAX_COVER * one).round().clamp(min=1) for one in (height, width))
    place = torch.arange(side, device=generator.device)
    down = torch.where(which < 0.5, place < rows, place >= side - rows)
    across = torch.where(which % 0.5 < 0.25, place < columns, place >= side - columns)
    covered = down.unsqueeze(2) & across.unsqueeze(1) & (whether < share).unsqueeze(2)
    return grey.masked_fill(covered.unsqueeze(1), 0)
