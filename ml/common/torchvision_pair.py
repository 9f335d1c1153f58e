"""Makes timm importable beside a torchvision whose compiled half does not fit this torch.

Package registries serve torchvision as a CUDA build. Beside a CPU build of torch its `_C.so` cannot be
loaded, and `import torchvision` then fails with "operator torchvision::nms does not exist", because it
attaches meta kernels to operators nobody has defined. Defining the two schemas is enough: Lynceus calls
neither of them. With a matching pair the library loads and nothing is defined here.

Import this module before timm.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_library: torch.library.Library | None = None  # the schemas live as long as this object


def mend() -> bool:
    """Whether the schemas had to be defined. Raises ImportError if torchvision is not installed."""
    global _library
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        raise ImportError("torchvision is not installed: pip install -r requirements.txt")
    if _library is not None:
        return True
    for binary in Path(spec.origin).parent.glob("_C*.so"):
        try:
            torch.ops.load_library(str(binary))
        except OSError:
            _library = torch.library.Library("torchvision", "DEF")
            for schema in SCHEMAS:
                _library.define(schema)
            return True
    return False


mend()
