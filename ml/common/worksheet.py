"""A long list of answers, written so that a run that was killed goes on where it was.

While it is made it is FILE.part, a SQLite database: a step's lines and the states they left behind commit
together, so none is lost and none is there twice. When all are there it becomes FILE, one JSON object a line.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

_TABLES = """
CREATE TABLE IF NOT EXISTS about (said TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS lines (place INTEGER PRIMARY KEY, line TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS states (key TEXT PRIMARY KEY, state BLOB NOT NULL);
"""
KEYS_AT_ONCE = 500  # SQLite takes a limited number of parameters


class Worksheet:
    """`about` says what is being scored by what: a part that was begun of anything else is refused.

    Raises FileExistsError where `out` is there already, ValueError for another's part.
    """

    def __init__(self, out: Path, about: Mapping[str, Any]) -> None:
        if out.exists():
            raise FileExistsError(f"There is a file {out.name} already.")
        self.out, self.part = out, out.with_name(f"{out.name}.part")
        self._about = dict(about)
        self._db = sqlite3.connect(self.part, isolation_level=None)
        try:
            self._begin(json.dumps(self._about, sort_keys=True))
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise ValueError(f"{self.part.name} is not what a run that was cut off left behind.") from error
        except ValueError:
            self._db.close()
            raise

    def _begin(self, said: str) -> None:
        self._db.executescript(_TABLES)
        kept = self._db.execute("SELECT said FROM about").fetchone()
        if kept is None:
            self._db.execute("INSERT INTO about VALUES (?)", [said])
        elif kept[0] != said:
            raise ValueError(
                f"{self.part.name} was begun with other data or another version: remove it, or score into"
                " another file."
            )

    def __enter__(self) -> Worksheet:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    def done(self) -> set[int]:
        """The places that have their line."""
        return {place for (place,) in self._db.execute("SELECT place FROM lines")}

    def states(self, keys: Iterable[str]) -> dict[str, bytes]:
        """Of these keys, what the steps before left behind."""
        wanted, found = list(dict.fromkeys(keys)), dict[str, bytes]()
        for start in range(0, len(wanted), KEYS_AT_ONCE):
            some = wanted[start : start + KEYS_AT_ONCE]
            marks = ",".join("?" * len(some))
            asked = f"SELECT key, state FROM states WHERE key IN ({marks})"  # noqa: S608 - marks alone
            found |= dict(self._db.execute(asked, some))
        return found

    def write(
        self, lines: Mapping[int, Mapping[str, Any]], states: Mapping[str, bytes] | None = None
    ) -> None:
        """A step: its lines by place, and the states after it."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.executemany(
                "INSERT INTO lines VALUES (?, ?)", [(at, json.dumps(line)) for at, line in lines.items()]
            )
            self._db.executemany("INSERT OR REPLACE INTO states VALUES (?, ?)", list((states or {}).items()))
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def finish(self) -> int:
        """Make FILE of it, whole or not at all: what it is first, then a line each; how many those are."""
        whole, count = self.out.with_name(f"{self.out.name}.whole"), 0
        with whole.open("w") as file:
            file.write(json.dumps(self._about, sort_keys=True) + "\n")
            for (line,) in self._db.execute("SELECT line FROM lines ORDER BY place"):
                file.write(line + "\n")
                count += 1
            file.flush()
            os.fsync(file.fileno())
        whole.replace(self.out)
        self._db.close()
        self.part.unlink()
        return count
