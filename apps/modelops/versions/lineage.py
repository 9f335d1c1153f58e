"""Where a version comes from, as far as this installation knows: the commit, and the version in service."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Any

from django.conf import settings

from apps.modelops.common.selectors import champion

COMMIT = re.compile(r"[0-9a-f]{7,64}")


def lineage(domain: str) -> dict[str, Any]:
    """`commit` is None where neither the setting nor git knows it; `changed` says that files differ from it.
    `parent`: the version in service while this one was made, which it would succeed."""
    parent = champion(domain)
    return {
        **_code(),
        "parent": {"number": parent.number, "artefact_hash": parent.artefact_hash} if parent else None,
    }


def _code() -> dict[str, Any]:
    if settings.LYNCEUS_COMMIT:
        return {"commit": settings.LYNCEUS_COMMIT, "changed": False}
    commit = _git("rev-parse", "HEAD")
    if commit is None or not COMMIT.fullmatch(commit):
        return {"commit": None, "changed": False}
    return {"commit": commit, "changed": bool(_git("status", "--porcelain", "--untracked-files=no"))}


def _git(*arguments: str) -> str | None:
    """What git says of the folder we run from, None where it is not there or says nothing of it."""
    git = shutil.which("git")
    if git is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603 - a fixed program and fixed words
            [git, *arguments], cwd=settings.BASE_DIR, capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
