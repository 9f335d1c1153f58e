from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.selectors import site_named
from apps.core.errors import LynceusError
from apps.core.words import counted
from apps.fraud.lifecycle.services.datasets import freeze_payments, held_of
from apps.fraud.lifecycle.services.history import describe, read_history
from apps.modelops.datasets.services.datasets import new_dataset_folder


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
            "--stream",
            default="",
            help="Names payments that are not the site's own, so that neither holds out the other's time.",
        )
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="Tell what it would hold and lack; freeze nothing.",
        )
        parser.add_argument("--site", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        import pandas as pd

        from ml.fraud.importing import read_mapping

        name = options["name"]
        if len(options["stream"]) > 60:
            raise CommandError("--stream is up to 60 characters.")
        try:
            site = site_named(options["site"])
            new_dataset_folder(site, "fraud", name)  # a taken name is said before anything is read
            mapping = read_mapping(options["mapping"])
            files = [file for file in (options["history"], options["file"]) if file]
            frame = pd.concat(read_history(files, mapping), ignore_index=True)
            frame = frame.sort_values("occurred_at", kind="stable", ignore_index=True)
            if options["dry_run"]:
                held = held_of(site, options["stream"])
                self.stdout.write("\n".join(describe(frame, mapping, held)))
                return
            frozen = freeze_payments(site, name, frame, stream=options["stream"]).summary
        except LynceusError as error:
            raise CommandError(f"{error.message} ({error.code})") from error
        except (ValueError, OSError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"Froze {counted(frozen['n'], 'transaction')}, {frozen['n_fraud']} of them fraud, as {name}."
        )
