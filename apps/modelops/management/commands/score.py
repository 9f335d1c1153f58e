from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.core.errors import LynceusError
from apps.core.words import counted
from apps.modelops.common.lines import progress_line
from apps.modelops.common.selectors import artefact_dir, version_named
from apps.modelops.registry import domain_named, load
from ml.common.artefact import ArtefactError
from ml.common.contracts import ProgressEvent


class Command(BaseCommand):
    help = "Score an archive of films or a file of transactions as those are that arrive; goes on if cut off."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("domain")
        parser.add_argument("--version", required=True, dest="model_version", help="A number or 'champion'.")
        parser.add_argument("--images", type=Path, help="Radiology: folder or tar of films.")
        parser.add_argument("--file", type=Path, help="Fraud: parquet or CSV of transactions.")
        parser.add_argument(
            "--mapping", default="", help="Fraud: JSON file, or the name of a built-in mapping."
        )
        parser.add_argument("--out", type=Path, required=True, help="JSON lines; made whole at the end.")

    def create_parser(self, *args: Any, **kwargs: Any) -> CommandParser:
        """Django's own --version flag gives way: here a version is a model's."""
        return super().create_parser(*args, conflict_handler="resolve", **kwargs)

    def handle(self, *args: Any, domain: str, model_version: str, out: Path, **options: Any) -> None:
        try:
            version = version_named(domain, model_version)
            options |= {
                "version": version.number, "artefact_hash": version.artefact_hash, "variant": version.variant,
            }  # fmt: skip
            scorer = load(domain_named(domain).scorer)
            lines = scorer(artefact_dir(version), options, out, self._show)
        except (LynceusError, ArtefactError) as error:
            raise CommandError(f"{error.message} ({error.code})") from error
        except (ValueError, OSError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{counted(lines, 'line')} in {out}.")

    def _show(self, event: ProgressEvent) -> None:
        self.stdout.write(progress_line(event.as_json()))
