"""A wrong setting stops the process with a sentence. Each case is a fresh interpreter."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

GOOD = {
    "DJANGO_SETTINGS_MODULE": "config.settings.production",
    "LYNCEUS_SECRET_KEY": "x" * 50,
    "LYNCEUS_AUDIT_KEY": "y" * 50,
    "DATABASE_URL": "postgres://u:p@127.0.0.1/lynceus",
    "REDIS_URL": "redis://127.0.0.1:6379/0",
    "LYNCEUS_ALLOWED_HOSTS": "lynceus.example.org",
}


def load(**changes: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **GOOD, **changes}
    code = "from django.conf import settings; settings.DEBUG"
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)


def test_production_loads_when_all_is_given() -> None:
    done = load()
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"LYNCEUS_SECRET_KEY": ""}, "Production needs these environment variables: LYNCEUS_SECRET_KEY."),
        ({"DATABASE_URL": "sqlite:////tmp/x"}, "Production needs PostgreSQL"),
        ({"LYNCEUS_DEMO": "1"}, "production refuses demo accounts and keys"),
        ({"LYNCEUS_DEMO": "perhaps"}, "LYNCEUS_DEMO must be true or false"),
        ({"LYNCEUS_IDLE_LOGOUT_S": "5"}, "LYNCEUS_IDLE_LOGOUT_S must be a whole number from 60"),
        ({"LYNCEUS_TRUSTED_PROXIES": "10.0.0.1"}, "LYNCEUS_TRUSTED_PROXIES must be a whole number"),
        ({"LYNCEUS_ARCHIVE_TRUSTED": "c0ffee"}, "LYNCEUS_ARCHIVE_TRUSTED must be public keys"),
        ({"LYNCEUS_DICOMWEB_ORIGINS": "*"}, "LYNCEUS_DICOMWEB_ORIGINS must be origins"),
        ({"LYNCEUS_TIME_ZONE": "Mars/Olympus"}, "LYNCEUS_TIME_ZONE must be an IANA time zone"),
    ],
)
def test_a_bad_value_is_refused(changes: dict[str, str], sentence: str) -> None:
    done = load(**changes)
    assert done.returncode != 0
    assert sentence in done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LYNCEUS_PORT", "eighty"),
        ("LYNCEUS_PORT", "70000"),
        ("LYNCEUS_WEB_WORKERS", "0"),
        ("LYNCEUS_WEB_THREADS", "-1"),
    ],
)
def test_the_web_server_refuses_one_with_a_sentence_too(name: str, value: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "config.web"], env={**os.environ, name: value}, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"{name} must be a whole number from 1 to ")
    assert "Traceback" not in done.stderr


def test_the_generated_secret_is_private_and_kept(tmp_path) -> None:
    from config.settings.env import secret_env

    first = secret_env("LYNCEUS_TEST_KEY", tmp_path)
    assert secret_env("LYNCEUS_TEST_KEY", tmp_path) == first
    assert len(first) >= 43
    assert (tmp_path / "keys" / "lynceus_test_key").stat().st_mode & 0o777 == 0o600
