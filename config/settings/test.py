"""Tests: cheap password hashing, everything else as in development."""

import os

from config.settings.dev import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
LYNCEUS_CALLER_CACHE_S = 0  # a test that takes a key away looks at once whether it still opens
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # A file, as in the demo: an in-memory database locks by table and not by waiting.
    DATABASES["default"]["TEST"] = {"NAME": str(VAR_DIR / "under-test.sqlite3")}
else:
    # Every migration is in it already (tests/template.py).
    DATABASES["default"]["TEST"] = {"TEMPLATE": os.environ["TEST_TEMPLATE"]}
