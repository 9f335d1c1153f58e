"""A checkpoint is there whole or not at all. It holds tensors and plain values: loading it runs nothing."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch


def write_checkpoint(path: Path, content: Mapping[str, Any]) -> None:
    """Replaces the one before at a single stroke. Raises OSError where the disk is full."""
    buffer = io.BytesIO()  # torch, writing the file itself, would say RuntimeError of a full disk
    torch.save(dict(content), buffer)
    temporary = path.with_suffix(".part")
    try:
        with temporary.open("wb") as file:
            file.write(buffer.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def read_checkpoint(path: Path) -> dict[str, Any]:
    """On the CPU, whatever device it was written on."""
    return dict(torch.load(path, map_location="cpu", weights_only=True))
