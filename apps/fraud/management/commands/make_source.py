from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.selectors import site_named
from apps.core.errors import LynceusError
from apps.fraud.wire.services.sources import ensure_source, rotate_source_secret


class Command(BaseCommand):
    help = "Make a source of transactions, or give it a new secret, which is printed once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("slug")
        parser.add_argument("--name", default="")
        parser.add_argument("--site", default="")

    def handle(self, *args: Any, slug: str, **options: Any) -> None:
        try:
            site = site_named(options["site"])
            source = ensure_source(site=site, slug=slug, name=options["name"] or slug)
        except LynceusError as error:
            raise CommandError(f"{error.message} ({error.code})") from error
        self.stdout.write(rotate_source_secret(source))
