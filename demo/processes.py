"""Every process of the Procfile, run by honcho until one ends or someone stops the demo."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, TextIO

from honcho.environ import parse_procfile
from honcho.manager import Manager
from honcho.printer import Printer

from demo.places import ROOT, Places, size

ANNOUNCER = "ready"
PLAYER = "play"


class _Split(Printer):  # type: ignore[misc]
    """Everything goes to the log; only what the announcer says goes to the screen."""

    def __init__(self, log: TextIO) -> None:
        super().__init__(log, colour=False)

    def write(self, message: Any) -> None:
        super().write(message)
        self.output.flush()
        if message.name == ANNOUNCER and message.type == "line":
            line = message.data
            sys.stdout.write(line.decode(errors="replace") if isinstance(line, bytes) else line)
            sys.stdout.flush()


def run(places: Places) -> int:
    """Start all and wait. The exit code: 0 where someone stopped the demo, else the first failure's."""
    environment = places.environment()
    with places.log.open("a", encoding="utf-8") as log:
        manager = Manager(_Split(log))
        for name, command in commands(environment):
            manager.add_process(name, command, env=environment, cwd=str(ROOT))
        manager.loop()
    code = manager.returncode or 0
    stopped = code in (130, 143)
    return 0 if stopped else abs(code) or 1


def commands(environment: dict[str, str]) -> Iterator[tuple[str, str]]:
    """The Procfile's lines, without Redis where a running one is given, the announcer, and the player.

    The project's own tests, on the small demo, have no player: they count what they sent.
    """
    procfile = parse_procfile((ROOT / "Procfile").read_text())
    for name, command in procfile.processes.items():
        if not (name == "redis" and environment.get("REDIS_URL")):
            yield name, f"exec {command}"
    yield ANNOUNCER, f"exec {sys.executable} -m demo.announce"
    if size() == "demo":
        yield PLAYER, f"exec {sys.executable} -m demo.play"
