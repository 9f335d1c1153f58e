from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.selectors import site_named
from apps.core.errors import LynceusError
from apps.core.words import counted
from apps.radiology.lifecycle.services.freeze_reads import freeze_reads


class Command(BaseCommand):
    help = "Freeze what radiologists said before the reveal, and what was settled, into a dataset."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--name", required=True)
        parser.add_argument("--site", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            frozen = freeze_reads(site_named(options["site"]), options["name"])
        except LynceusError as error:
            raise CommandError(f"{error.message} ({error.code})") from error
        except (ValueError, OSError) as error:
            raise CommandError(str(error)) from error
        told = frozen.summary
        films, patients = counted(told["n"], "film"), counted(told["n_patients"], "patient")
        self.stdout.write(f"Froze {films} of {patients} as {frozen.name}.")
