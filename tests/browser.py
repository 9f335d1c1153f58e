"""The Chromium that the browser tests drive: on the PATH, else playwright's own, else Debian's.

`python -m tests.browser` sees to it that there is one, or ends with a sentence.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Browser, Playwright, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
# Without these it looks up its maker's hosts at every start.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def launch(playwright: Playwright) -> Browser:
    return playwright.chromium.launch(executable_path=on_path(), args=list(ARGUMENTS))


def on_path() -> str | None:
    """None leaves the choice to playwright."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def ensure() -> None:
    """Raises RuntimeError when no browser is here and none can be installed."""
    if on_path() or _playwrights_own():
        return
    for attempt in (_install_playwrights, _install_debians):
        attempt()
        if on_path() or _playwrights_own():
            return
    raise RuntimeError(
        "The browser tests need Chromium: install it so that `chromium` is on the PATH, "
        "or run `.venv/bin/playwright install chromium`."
    )


def _playwrights_own() -> bool:
    with sync_playwright() as playwright:
        return Path(playwright.chromium.executable_path).is_file()


def _install_playwrights() -> None:
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False, timeout=600)


def _install_debians() -> None:
    if os.getuid() == 0 and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "chromium"]):
            subprocess.run(command, check=False, env=environment, timeout=900)


if __name__ == "__main__":
    try:
        ensure()
    except RuntimeError as error:
        sys.exit(str(error))
