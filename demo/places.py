"""Where the demo keeps things, and the environment all its processes share."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SIZES = ("demo", "tiny")


@dataclass(frozen=True, slots=True)
class Places:
    """Absolute paths and ports of one demo; `from_environment` reads the same variables as the settings."""

    var: Path
    host: str
    port: int
    dicom_port: int

    @classmethod
    def from_environment(cls) -> Places:
        """Raises ValueError with a sentence for a port that is none."""
        var = Path(os.environ.get("LYNCEUS_VAR") or ROOT / "var").resolve()
        return cls(var, "127.0.0.1", _port("LYNCEUS_PORT", 8000), _port("LYNCEUS_DICOM_PORT", 11112))

    @property
    def summary(self) -> Path:
        """demo.json: there only while the demo is ready."""
        return self.var / "demo.json"

    @property
    def log(self) -> Path:
        return self.var / "demo.log"

    @property
    def films(self) -> Path:
        """Synthetic films: some are sent at the first start, the rest are for the visitor to send."""
        return self.var / "films-to-send"

    @property
    def base_url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def environment(self) -> dict[str, str]:
        """What every process of the demo is started with."""
        return {
            **os.environ,
            "PATH": f"{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "DJANGO_SETTINGS_MODULE": "config.settings.dev",
            "LYNCEUS_VAR": str(self.var),
            "LYNCEUS_PORT": str(self.port),
            "LYNCEUS_DICOM_HOST": self.host,
            "LYNCEUS_DICOM_PORT": str(self.dicom_port),
            "LYNCEUS_DEMO": "1",
            "LYNCEUS_DEMO_GATE": str(self.summary),
            "PYTHONUNBUFFERED": "1",
        }


def size() -> str:
    """`demo`, or `tiny` for the project's own tests. Raises ValueError for anything else."""
    wanted = os.environ.get("LYNCEUS_DEMO_SIZE") or "demo"
    if wanted not in SIZES:
        raise ValueError(f"LYNCEUS_DEMO_SIZE must be one of {', '.join(SIZES)}, not {wanted!r}.")
    return wanted


def _port(name: str, default: int) -> int:
    value = os.environ.get(name) or str(default)
    if not value.isdecimal() or not 0 < int(value) < 65536:
        raise ValueError(f"{name} must be a port from 1 to 65535, not {value!r}.")
    return int(value)
