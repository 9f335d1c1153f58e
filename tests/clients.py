"""Programs of others that the tests send films and read reports with: DCMTK's, Orthanc, and `curl`.

`python -m tests.clients` sees to it that they are there, or ends with a sentence.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

PACKAGES = {
    "echoscu": "dcmtk", "storescu": "dcmtk", "storescp": "dcmtk", "dsrdump": "dcmtk", "Orthanc": "orthanc",
    "curl": "curl",
}  # fmt: skip


def program(name: str) -> str:
    """Its path. RuntimeError where it is not installed."""
    if found := _on_path(name):
        return found
    raise RuntimeError(f"The tests need {name}: install the package {PACKAGES[name]}.")


def _on_path(name: str) -> str | None:
    """Not what pynetdicom brings under the same name: that is our own side of the line."""
    own = Path(sys.prefix).resolve()
    places = [*os.environ.get("PATH", os.defpath).split(os.pathsep), "/usr/sbin"]  # Orthanc is a daemon
    others = [place for place in places if own not in (Path(place).resolve(), *Path(place).resolve().parents)]
    return shutil.which(name, path=os.pathsep.join(others))


def ensure() -> None:
    """Raises RuntimeError when one is missing and cannot be installed."""
    missing = sorted({PACKAGES[name] for name in PACKAGES if not _on_path(name)})
    if missing and os.getuid() == 0 and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", *missing]):
            subprocess.run(command, check=False, env=environment, timeout=900)
    for name in PACKAGES:
        program(name)


if __name__ == "__main__":
    try:
        ensure()
    except RuntimeError as error:
        sys.exit(str(error))
