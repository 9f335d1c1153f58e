"""Pretrained weights in a folder: found by the network's name, described by themselves, fetched on request.

A file is `<backbone>*.safetensors`. Its metadata may hold `lynceus`, a JSON object with the network's extra
arguments and the mean and std its input was normalised with; without it, a name with `tf` means weights
ported from TensorFlow (padding "same", input in -1..1) and any other timm's own description of the network.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

FROM_TENSORFLOW = {"args": {"pad_type": "same", "bn_eps": 1e-3}, "mean": 0.5, "std": 0.5}
ARGS = ("pad_type", "bn_eps")  # what a file may say about the network it fits
MAX_BYTES = 2 * 1024**3


class WeightsError(RuntimeError):
    """Weights that cannot be fetched or do not fit, as one sentence."""


@dataclass(frozen=True, slots=True)
class Weights:
    """A file of weights; `mean` and `std` are of grey in 0..1, None where timm's description holds."""

    path: Path
    sha256: str
    args: Mapping[str, Any] = field(default_factory=dict)
    mean: float | None = None
    std: float | None = None
    source: str = "local file"  # or the place on timm's hub it was fetched from

    def about(self) -> dict[str, str]:
        """What an artefact says of the weights its network started from."""
        return {"file": self.path.name, "sha256": self.sha256, "source": self.source}


def find_weights(folder: Path | None, backbone: str) -> Weights | None:
    """The first file by name for this network, or None. Raises WeightsError for one that cannot be read."""
    if folder is None or not folder.is_dir():
        return None
    fits = re.compile(re.escape(backbone) + r"([._-].*)?\.safetensors")
    for path in sorted(folder.iterdir()):
        if fits.fullmatch(path.name) and path.is_file():
            return _described(path)
    return None


def _described(path: Path) -> Weights:
    try:
        with safe_open(path, "numpy") as file:
            metadata = file.metadata() or {}
        about = json.loads(metadata.get("lynceus", "{}"))
        if not about and re.search(r"[._-]tf[0-9]*[._-]", path.name):
            about = FROM_TENSORFLOW
        args = {name: about["args"][name] for name in ARGS if name in about.get("args", {})}
        mean, std = about.get("mean"), about.get("std")
    except (SafetensorError, ValueError, AttributeError) as error:
        raise WeightsError(f"The weights {path.name} cannot be read.") from error
    with path.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    return Weights(path, sha256, args, mean, std, metadata.get("source", "local file"))


def fetch_weights(backbone: str, folder: Path, *, timeout_s: float, endpoint: str | None = None) -> Path:
    """Download timm's weights for this network from the Hugging Face hub into `folder`.

    Raises WeightsError: unknown network, no way to the hub, too slow, too large, or not what it should be.
    """
    import httpx
    from huggingface_hub import hf_hub_url

    import ml.common.torchvision_pair  # noqa: F401  # before timm
    from timm.models import get_pretrained_cfg  # isort: skip

    config = get_pretrained_cfg(backbone)
    if config is None or not config.hf_hub_id:
        raise WeightsError(f"timm knows no published weights for {backbone!r}.")
    url = hf_hub_url(config.hf_hub_id, "model.safetensors", endpoint=endpoint)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=folder, suffix=".part")
    os.close(descriptor)
    try:
        try:
            _download(url, Path(name), time.monotonic() + timeout_s)
        except httpx.HTTPError as error:
            message = f"The weights could not be fetched: no answer from {httpx.URL(url).host} (offline?)."
            raise WeightsError(message) from error
        target = folder / f"{backbone}.{config.tag or 'default'}.safetensors"
        _describe(Path(name), backbone, config)
        os.replace(name, target)
    finally:
        Path(name).unlink(missing_ok=True)
    return target


def _download(url: str, target: Path, deadline: float) -> None:
    import httpx

    left = max(0.1, deadline - time.monotonic())
    timeout = httpx.Timeout(min(left, 20.0))
    hub = httpx.stream("GET", url, follow_redirects=True, timeout=timeout)
    with target.open("wb") as file, hub as answer:
        answer.raise_for_status()
        for block in answer.iter_bytes():
            file.write(block)
            if time.monotonic() > deadline:
                raise WeightsError("The weights could not be fetched within the time given.")
            if file.tell() > MAX_BYTES:
                raise WeightsError("The weights are larger than may be kept.")


def _describe(path: Path, backbone: str, config: Any) -> None:
    """Check that the file fits the network, and write into it how its input was normalised."""
    import timm
    from safetensors.torch import load_file, save_file

    try:
        state = load_file(path)
        timm.create_model(backbone).load_state_dict(state)
    except Exception as error:
        raise WeightsError(f"What was fetched is not weights of {backbone}.") from error
    grey = {"mean": sum(config.mean) / 3, "std": sum(config.std) / 3}
    save_file(state, path, {"lynceus": json.dumps(grey), "source": str(config.hf_hub_id)})
