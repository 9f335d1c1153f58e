from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.selectors import site_named
from apps.core.errors import LynceusError
from apps.fraud.services.history import describe, read_history
from apps.modelops.services.datasets import new_dataset_folder, register_dataset


class Command(BaseCommand):
    help = "Freeze labelled transactions from a file into a dataset to train on."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--file", type=Path, required=True, help="Parquet or CSV.")
        parser.add_argument(
            "--mapping", default="", help="JSON file, or 'handbook'. Default: canonical names."
        )
        parser.add_argument("--history", type=Path, help="Earlier transactions, put before the file's.")
        parser.add_argument("--name", required=True)
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="Tell what it would hold and lack; freeze nothing.",
        )
        parser.add_argument("--site", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        import pandas as pd

        from ml.fraud.importing import freeze_frame, read_mapping

        name = options["name"]
        try:
            site = site_named(options["site"])
            folder = new_dataset_folder(site, "fraud", name)
            mapping = read_mapping(options["mapping"])
            files = [file for file in (options["history"], options["file"]) if file]
            frame = pd.concat(read_history(files, mapping), ignore_index=True)
            frame = frame.sort_values("occurred_at", kind="stable", ignore_index=True)
            if options["dry_run"]:
                self.stdout.write("\n".join(describe(frame, mapping)))
                return
            frozen = freeze_frame(frame, folder, name, settings.TIME_ZONE)
            register_dataset(site=site, domain="fraud", name=name, folder=folder, summary=asdict(frozen))
        except LynceusError as error:
            raise CommandError(f"{error.message} ({error.code})") from error
        except (ValueError, OSError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Froze {frozen.n} transactions, {frozen.n_fraud} of them fraud, as {name}.")
