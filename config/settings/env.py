"""Read settings from the environment; a bad value stops the process with a sentence, not a surprise."""

from __future__ import annotations

import hashlib
import ipaddress
import os
import re
import secrets
import zoneinfo
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

TRUE = {"1", "true", "yes", "on"}
FALSE = {"0", "false", "no", "off", ""}
PUBLIC_KEY = re.compile(r"[0-9a-f]{64}")
ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?")
SOCKET_MAX_BYTES = 100  # sun_path of unix(7) holds 108, on macOS 104


def env(name: str, default: str) -> str:
    return os.environ.get(name) or default


def bool_env(name: str, default: bool) -> bool:
    value = os.environ.get(name)
    if value is None:
        return default
    if value.lower() in TRUE | FALSE:
        return value.lower() in TRUE
    raise ImproperlyConfigured(f"{name} must be true or false, not {value!r}.")


def int_env(name: str, default: int, *, low: int = 0, high: int = 2**63) -> int:
    value = os.environ.get(name) or str(default)
    if not value.isdecimal() or not low <= int(value) <= high:
        raise ImproperlyConfigured(f"{name} must be a whole number from {low} to {high}, not {value!r}.")
    return int(value)


def choice_env(name: str, default: str, choices: tuple[str, ...]) -> str:
    value = env(name, default)
    if value not in choices:
        raise ImproperlyConfigured(f"{name} must be one of {', '.join(choices)}, not {value!r}.")
    return value


def list_env(name: str, default: list[str]) -> list[str]:
    value = os.environ.get(name)
    return default if value is None else [part.strip() for part in value.split(",") if part.strip()]


def networks_env(name: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    try:
        return [ipaddress.ip_network(part) for part in list_env(name, [])]
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be networks such as 10.1.0.0/16, by comma.") from None


def origins_env(name: str) -> list[str]:
    """Origins as browsers write them: a scheme, a host, perhaps a port, no path."""
    origins = list_env(name, [])
    if not all(ORIGIN.fullmatch(origin) for origin in origins):
        raise ImproperlyConfigured(f"{name} must be origins such as https://viewer.example.org, by comma.")
    return origins


def keys_env(name: str) -> list[str]:
    """Ed25519 public keys as `manage.py export_version --key` prints them."""
    keys = list_env(name, [])
    if not all(PUBLIC_KEY.fullmatch(key) for key in keys):
        raise ImproperlyConfigured(f"{name} must be public keys of 64 hexadecimal digits, by comma.")
    return keys


def zone_env(name: str, default: str) -> str:
    value = env(name, default)
    if value not in zoneinfo.available_timezones():
        raise ImproperlyConfigured(f"{name} must be an IANA time zone such as Europe/Berlin, not {value!r}.")
    return value


def secret_env(name: str, var_dir: Path) -> str:
    """The secret from the environment, else one made once and kept in VAR/keys with mode 0600."""
    if value := os.environ.get(name):
        return value
    path = var_dir / "keys" / name.lower()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        # Another process is between creating and filling the file for a few microseconds at most.
        for _ in range(1000):
            if value := path.read_text():
                return value
        raise ImproperlyConfigured(f"{path} is empty: delete it and start again.") from None
    value = secrets.token_urlsafe(48)
    with os.fdopen(descriptor, "w") as file:
        file.write(value)
    return value


def socket_path(var_dir: Path) -> Path:
    """VAR/redis.sock; where that is too long for a unix socket, a place in a short temporary folder."""
    path = var_dir / "redis.sock"
    if len(os.fsencode(path)) <= SOCKET_MAX_BYTES:
        return path
    name = hashlib.sha256(os.fsencode(var_dir)).hexdigest()[:12]
    return Path("/tmp") / f"lynceus-{os.getuid()}-{name}" / "redis.sock"  # noqa: S108 - made private on start
