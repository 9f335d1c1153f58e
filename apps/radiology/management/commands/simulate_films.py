from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.selectors import site_named
from apps.core.errors import LynceusError
from apps.core.words import counted
from apps.modelops.datasets.services.datasets import new_dataset_folder
from apps.radiology.lifecycle.services.datasets import dealing_of, register_films


class Command(BaseCommand):
    help = "Freeze a dataset of made-up, labelled chest films. They are marked synthetic."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--name", required=True)
        parser.add_argument("--films", type=int, default=2000)
        parser.add_argument("--rows", type=int, default=256, help="Height of a film in pixels.")
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--workers", type=int, default=2, help="Processes that draw.")
        parser.add_argument("--keep", type=Path, help="Also keep the DICOM files and labels.csv here.")
        parser.add_argument("--site", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        from ml.radiology.importing import freeze_images
        from ml.radiology.synthetic import LABELS, write_films

        name = options["name"]
        if not (1 <= options["films"] <= 200_000 and 64 <= options["rows"] <= 4096):
            raise CommandError("Films must be 1 to 200000, and 64 to 4096 pixels high.")
        try:
            site = site_named(options["site"])
            folder, dealing = new_dataset_folder(site, "radiology", name), dealing_of(site)
            with tempfile.TemporaryDirectory() as scratch:
                films = options["keep"] or Path(scratch)
                labels = write_films(
                    films, options["films"], seed=options["seed"], rows=options["rows"],
                    workers=options["workers"],
                )  # fmt: skip
                # Through our own decoder, as any hospital's films.
                frozen = freeze_images(
                    films, labels, list(LABELS), folder, name, dealing=dealing,
                    provenance={"source": "simulator", "seed": options["seed"]},
                )  # fmt: skip
            register_films(site=site, name=name, folder=folder, made=frozen, dealing=dealing)
        except LynceusError as error:
            raise CommandError(f"{error.message} ({error.code})") from error
        except (ValueError, OSError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"Froze {counted(frozen.n, 'made-up film')} of {counted(frozen.n_patients, 'patient')} as {name}."
        )
