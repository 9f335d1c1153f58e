"""One database with every migration in it; each worker's test database is a copy of it, made in a second.

Kept from run to run under the name of what went into it: migrating takes half a minute.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import psycopg
from psycopg import sql

ROOT = Path(__file__).parent.parent
PREFIX = "lynceus_template_"
ONE_AT_A_TIME = 7349201  # any number that nobody else locks


def template_of(url: str) -> str:
    """The name of the server's template for this tree."""
    name = PREFIX + _digest()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [ONE_AT_A_TIME])
        known = {row[0] for row in connection.execute("SELECT datname FROM pg_database")}
        if name not in known:
            _make(connection, url, name)
        for old in known:
            if old.startswith(PREFIX) and old != name:
                connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(old)))
    return name


def _digest() -> str:
    files = [*sorted(ROOT.glob("apps/*/migrations/*.py")), ROOT / "requirements.txt"]
    whole = hashlib.sha256()
    for file in files:
        whole.update(f"{file.relative_to(ROOT)} {file.stat().st_size}\n".encode() + file.read_bytes())
    return whole.hexdigest()[:16]


def _make(connection: psycopg.Connection, url: str, name: str) -> None:
    """Under another name until it is whole: a run that is cut off leaves no half of one behind."""
    unfinished = sql.Identifier(f"unfinished_{name}")
    connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(unfinished))
    connection.execute(sql.SQL("CREATE DATABASE {}").format(unfinished))
    environment = {**os.environ, "DATABASE_URL": url.replace("/postgres?", f"/unfinished_{name}?")}
    environment["DJANGO_SETTINGS_MODULE"] = "config.settings.dev"
    command = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    connection.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(unfinished, sql.Identifier(name)))
