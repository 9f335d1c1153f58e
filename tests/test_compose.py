"""docker-compose.yml runs what the Procfile runs, and nothing of it is left unwatched."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml
from honcho.environ import parse_procfile

ROOT = Path(__file__).resolve().parent.parent


def services() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]


def processes() -> set[str]:
    return set(parse_procfile((ROOT / "Procfile").read_text()).processes)


def test_each_process_is_a_service_started_from_the_procfile() -> None:
    ours = {n: s["command"] for n, s in services().items() if s.get("command", [""])[0] == "honcho"}
    assert ours == {name: ["honcho", "start", name] for name in processes() - {"redis"}}


def test_every_service_that_stays_has_a_health_check() -> None:
    assert {n for n, s in services().items() if "healthcheck" not in s} == {"migrate"}


def test_the_broker_keeps_an_append_only_file() -> None:
    command = services()["redis"]["command"]
    assert command[command.index("--appendonly") + 1] == "yes"


def test_the_database_and_the_broker_are_not_published() -> None:
    assert all("ports" not in services()[name] for name in ("postgres", "redis"))


def test_each_variable_it_asks_for_is_in_the_example() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    example = (ROOT / ".env.example").read_text()
    asked = {part.split(":")[0].split("}")[0] for part in text.split("${")[1:]}
    assert asked and all(f"\n{name}=" in example for name in asked)


def test_the_image_is_built_by_the_makefiles_own_steps() -> None:
    steps = [
        line for line in (ROOT / "Dockerfile").read_text().splitlines() if "make " in line and "RUN" in line
    ]
    install, static = steps[1:]
    assert install == "RUN make install"
    # With keys of its own that do not stay in the image.
    assert "LYNCEUS_VAR=/tmp/build make static && rm -r /tmp/build" in static
    assert "install:" in (ROOT / "Makefile").read_text() and "static:" in (ROOT / "Makefile").read_text()


def test_compose_itself_accepts_the_file() -> None:
    """Where its client is installed; everywhere the YAML above is what it would read."""
    given = {name: "x" for name in ("LYNCEUS_SECRET_KEY", "LYNCEUS_AUDIT_KEY", "POSTGRES_PASSWORD")}
    environment = {**os.environ, **given, "LYNCEUS_ALLOWED_HOSTS": "localhost"}
    client = shutil.which("docker")
    has_compose = (
        client is not None
        and not subprocess.run([client, "compose", "version"], capture_output=True, check=False).returncode
    )
    if has_compose:
        done = subprocess.run(
            ["docker", "compose", "config", "--quiet"], cwd=ROOT, env=environment, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert set(services()) == processes() | {"postgres", "migrate"}
