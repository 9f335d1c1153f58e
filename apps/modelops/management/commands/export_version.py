from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.core.errors import LynceusError
from apps.modelops.common.selectors import version_named
from apps.modelops.versions.archive_keys import own_key
from apps.modelops.versions.services.exchange import export_version


class Command(BaseCommand):
    help = "Write a version as one signed archive, or print the public key it is signed by."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("domain", nargs="?")
        parser.add_argument("model_version", metavar="version", nargs="?", help="A number or 'champion'.")
        parser.add_argument("--out", type=Path, help="The archive to write; it may not exist yet.")
        parser.add_argument("--key", action="store_true", help="Print this installation's public key.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["key"]:
            self.stdout.write(own_key() or "none")
            return
        domain, number, out = options["domain"], options["model_version"], options["out"]
        if not (domain and number and out):
            raise CommandError("Give the domain, the version and --out, or --key.")
        try:
            size = self._write(domain, number, out)
        except LynceusError as error:
            raise CommandError(f"{error.message} ({error.code})") from error
        except OSError as error:
            raise CommandError(f"{out} cannot be written: {error.strerror}.") from error
        self.stdout.write(f"{out}: {size / 1e6:.1f} MB, signed by {own_key()}.")

    def _write(self, domain: str, number: str, out: Path) -> int:
        """Whole or not at all; returns how many bytes."""
        version = version_named(domain, number)
        if out.exists():
            raise CommandError(f"{out} exists already.")
        part = out.with_name(f"{out.name}.part")
        try:
            with part.open("wb") as file:
                for piece in export_version(version, by=None, site=version.dataset.site):
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, out)
        finally:
            part.unlink(missing_ok=True)
        return out.stat().st_size
