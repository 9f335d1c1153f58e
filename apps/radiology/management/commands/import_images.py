from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.selectors import site_named
from apps.core.errors import LynceusError
from apps.modelops.services.datasets import new_dataset_folder, register_dataset
from apps.radiology.changes import rejected_uids


class Command(BaseCommand):
    help = "Freeze labelled chest radiographs into a dataset to train on."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--images", type=Path, required=True, help="A folder or a tar of images.")
        parser.add_argument("--labels", type=Path, required=True, help="CSV with file and patient_id.")
        parser.add_argument("--findings", required=True, help="Label columns, by comma; others are metadata.")
        parser.add_argument("--name", required=True)
        parser.add_argument("--seed", type=int, default=0, help="Of the split, where the CSV gives none.")
        parser.add_argument("--site", default="")
        parser.add_argument("--dry-run", action="store_true", help="Read everything, report, write nothing.")

    def handle(self, *args: Any, **options: Any) -> None:
        from ml.radiology.importing import check_images, freeze_images

        name = options["name"]
        findings = [finding.strip() for finding in options["findings"].split(",") if finding.strip()]
        given = options["images"], options["labels"], findings
        try:
            site = site_named(options["site"])
            folder = new_dataset_folder(site, "radiology", name)
            how = {"seed": options["seed"], "tell": self._tell, "rejected": rejected_uids(site)}
            if options["dry_run"]:
                report = check_images(*given, **how)
                self.stdout.write(json.dumps(asdict(report), indent=1))
                return
            frozen = freeze_images(*given, folder, name, **how)
            register_dataset(site=site, domain="radiology", name=name, folder=folder, summary=asdict(frozen))
        except LynceusError as error:
            raise CommandError(f"{error.message} ({error.code})") from error
        except (ValueError, OSError) as error:
            raise CommandError(str(error)) from error
        skipped = sum(frozen.skipped.values())
        self.stdout.write(f"Froze {frozen.n} images as {name}; {skipped} could not be read.")

    def _tell(self, done: int, total: int) -> None:
        if done % 1000 == 0:
            self.stdout.write(f"{done} of {total} images read")
