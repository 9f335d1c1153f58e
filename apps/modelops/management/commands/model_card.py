from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.core.errors import LynceusError
from apps.modelops.common.selectors import version_named
from apps.modelops.versions.card_text import markdown_of
from apps.modelops.versions.cards import card_of


class Command(BaseCommand):
    help = "Write a version's model card as Markdown."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("domain")
        parser.add_argument("model_version", metavar="version", help="A number or 'champion'.")
        parser.add_argument("--out", type=Path, help="A file; without it the card is printed.")

    def handle(self, *args: Any, domain: str, model_version: str, out: Path | None, **options: Any) -> None:
        try:
            text = markdown_of(card_of(version_named(domain, model_version)))
        except LynceusError as error:
            raise CommandError(f"{error.message} ({error.code})") from error
        if out is None:
            self.stdout.write(text)
            return
        try:
            out.write_text(text)
        except OSError as error:
            raise CommandError(f"{out} cannot be written: {error.strerror}.") from error
