from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.selectors import site_named
from apps.core.errors import LynceusError
from apps.core.words import counted
from apps.modelops.datasets.services.datasets import new_dataset_folder
from apps.radiology.lifecycle.services.datasets import dealing_of, register_films
from apps.radiology.studies.changes import rejected_uids


class Command(BaseCommand):
    help = "Freeze labelled chest radiographs into a dataset to train on."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--images", type=Path, required=True, help="A folder or a tar of images.")
        parser.add_argument("--labels", type=Path, required=True, help="CSV with file and patient_id.")
        parser.add_argument("--findings", required=True, help="Label columns, by comma; others are metadata.")
        parser.add_argument("--name", required=True)
        parser.add_argument(
            "--gate-share", type=float, default=0.0,
            help="Of the patients that the CSV's own split trains on, so many go to the gate.",
        )  # fmt: skip
        parser.add_argument("--site", default="")
        parser.add_argument("--dry-run", action="store_true", help="Read everything, report, write nothing.")

    def handle(self, *args: Any, **options: Any) -> None:
        from ml.radiology.importing import check_images, freeze_images

        name = options["name"]
        findings = [finding.strip() for finding in options["findings"].split(",") if finding.strip()]
        given = options["images"], options["labels"], findings
        if not 0 <= options["gate_share"] <= 0.5:
            raise CommandError("--gate-share lies between 0 and 0.5.")
        try:
            site = site_named(options["site"])
            folder, dealing = (
                new_dataset_folder(site, "radiology", name),
                dealing_of(site, options["gate_share"]),
            )
            how: dict[str, Any] = {"dealing": dealing, "tell": self._tell, "rejected": rejected_uids(site)}
            if options["dry_run"]:
                report = check_images(*given, **how)
                self.stdout.write(json.dumps(asdict(report), indent=1))
                return
            frozen = freeze_images(*given, folder, name, **how)
            register_films(site=site, name=name, folder=folder, made=frozen, dealing=dealing)
        except LynceusError as error:
            raise CommandError(f"{error.message} ({error.code})") from error
        except (ValueError, OSError) as error:
            raise CommandError(str(error)) from error
        skipped = sum(frozen.skipped.values())
        self.stdout.write(f"Froze {counted(frozen.n, 'image')} as {name}; {skipped} could not be read.")

    def _tell(self, done: int, total: int) -> None:
        if done % 1000 == 0:
            self.stdout.write(f"{done} of {counted(total, 'image')} read")
