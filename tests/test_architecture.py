"""The shape of the tree. Directions between packages are held by import-linter, beside this."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ("torch", "torchvision", "timm", "xgboost", "highdicom")


def loads(code: str) -> set[str]:
    program = f"import sys\n{code}\nprint(*[m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(done.stdout.split())


def test_the_web_process_loads_no_torch() -> None:
    code = (
        "import os; os.environ['DJANGO_SETTINGS_MODULE'] = 'config.settings.test'\n"
        "import config.asgi, config.urls"
    )
    assert loads(code) == set()


def test_the_check_above_would_notice() -> None:
    assert "torch" in loads("import torch")


def test_files_stay_small() -> None:
    files = [p for top in ("apps", "config", "ml", "tests") for p in (ROOT / top).rglob("*.py")]
    assert files
    assert [str(p) for p in files if len(p.read_text().splitlines()) > 500] == []


def test_every_setting_is_documented() -> None:
    pattern = re.compile(r'(?:_?env|environ\.get|_port)\(\s*"([A-Z_]+)"')
    files = [
        *(ROOT / "config/settings").glob("*.py"),
        ROOT / "config/web.py",
        ROOT / "config/asgi.py",
        ROOT / "demo/places.py",
    ]
    read = {n for p in files for n in pattern.findall(p.read_text())} - {"PATH"}
    documented = set(re.findall(r"^\| `([A-Z_]+)`", (ROOT / "docs/settings.md").read_text(), re.M))
    assert read == documented


def test_every_command_is_documented() -> None:
    files = (ROOT / "apps").glob("*/management/commands/*.py")
    ours = {file.stem for file in files} - {"__init__"}
    documented = re.findall(r"^\| `(\w+)`", (ROOT / "docs/commands.md").read_text(), re.M)
    assert sorted(documented) == sorted(ours | {"createsuperuser"})
