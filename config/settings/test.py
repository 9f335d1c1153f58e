"""Tests: cheap password hashing, everything else as in development."""

from config.settings.dev import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # A file, as in the demo: an in-memory database locks by table and not by waiting.
    DATABASES["default"]["TEST"] = {"NAME": str(VAR_DIR / "under-test.sqlite3")}
