"""timm imports whatever build of torchvision lies beside torch; a device is chosen at run time."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ml.common import devices
from ml.common.devices import choose_device, serving_device


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else done.stderr


def test_timm_imports_after_the_pair() -> None:
    code = "import ml.common.torchvision_pair, timm; print(len(timm.list_models('resnet18')))"
    assert run(code) == "1"


def test_a_matching_pair_is_left_alone() -> None:
    """A torchvision that loads: nothing is defined, so defining it here must not clash."""
    code = (
        "import torch; torch.ops.load_library = lambda path: None\n"
        "import ml.common.torchvision_pair as pair\n"
        "print(pair.mend(), pair._library)"
    )
    assert run(code) == "False None"


def test_a_pair_that_does_not_match_is_mended() -> None:
    code = (
        "import torch\n"
        "def broken(path): raise OSError('libcudart.so: cannot open shared object file')\n"
        "torch.ops.load_library = broken\n"
        "import ml.common.torchvision_pair as pair\n"
        "print(pair.mend(), 'nms' in str(torch.ops.torchvision.nms.default))"
    )
    assert run(code) == "True True"


def test_devices() -> None:
    assert choose_device("cpu") == "cpu"
    assert choose_device() in {"cuda", "mps", "cpu"}
    with pytest.raises(ValueError, match="must be one of"):
        choose_device("tpu")


def test_without_a_card_films_are_served_without_torch(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(devices, "choose_device", lambda wanted: pytest.fail("torch was loaded"))
    monkeypatch.setattr(devices, "NVIDIA", tmp_path / "nothing")
    assert [serving_device(wanted) for wanted in ("auto", "cpu", "mps")] == ["cpu"] * 3


def test_with_a_card_torch_says_whether_it_can_be_used(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(devices, "NVIDIA", tmp_path)
    for there in ("cuda", "cpu", "mps"):
        monkeypatch.setattr(devices, "choose_device", lambda wanted, there=there: there)
        assert serving_device() == ("cuda" if there == "cuda" else "cpu")
