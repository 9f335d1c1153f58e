"""Which device to train and to serve on, chosen when the process runs, never on import."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

DEVICES = ("auto", "cuda", "mps", "cpu")
NVIDIA = Path("/dev/nvidiactl")  # there where the driver of a card is


def choose_device(wanted: str = "auto") -> str:
    """`cuda`, else `mps`, else `cpu`; a device asked for by name must be there.

    Raises ValueError for an unknown name and RuntimeError for a device this machine lacks.
    """
    if wanted not in DEVICES:
        raise ValueError(f"The device must be one of {', '.join(DEVICES)}, not {wanted!r}.")
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return next(device for device, present in there.items() if present)
    if not there[wanted]:
        raise RuntimeError(f"This machine has no {wanted} device that torch can use.")
    return wanted


def expected_device(wanted: str = "auto") -> str:
    """What `choose_device` would choose, by the drivers that are there: torch is not loaded for it."""
    if wanted != "auto":
        return wanted
    if NVIDIA.exists():
        return "cuda"
    return "mps" if (sys.platform, platform.machine()) == ("darwin", "arm64") else "cpu"


def serving_device(wanted: str = "auto") -> str:
    """`cuda` where there is such a device, else `cpu`; without a card torch is not even loaded.

    Raises as `choose_device`.
    """
    if wanted == "cuda" or (wanted == "auto" and NVIDIA.exists()):
        chosen = choose_device(wanted)
        return chosen if chosen == "cuda" else "cpu"
    return "cpu"
