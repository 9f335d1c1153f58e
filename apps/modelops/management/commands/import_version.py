from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.selectors import site_named
from apps.core.errors import LynceusError
from apps.modelops.common.selectors import dataset_named
from apps.modelops.models import ModelVersion
from apps.modelops.versions.services.exchange import import_version


class Command(BaseCommand):
    help = "Take a version from a signed archive: a candidate, like one that was trained here."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("domain")
        parser.add_argument("archive", type=Path)
        parser.add_argument("--dataset", required=True, help="The dataset whose locked part judges it.")
        parser.add_argument("--site", default="", help="Slug; needed only where there are several sites.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            version = self._take(options)
        except LynceusError as error:
            raise CommandError(f"{error.message} ({error.code})") from error
        except OSError as error:
            raise CommandError(f"{options['archive']} cannot be read: {error.strerror}.") from error
        self.stdout.write(f"{options['domain']} version {version.number} is here, as a candidate.")

    def _take(self, options: dict[str, Any]) -> ModelVersion:
        judged_by = dataset_named(site_named(options["site"]), options["domain"], options["dataset"])
        with options["archive"].open("rb") as file:
            return import_version(file, domain=options["domain"], judged_by=judged_by, by=None)
