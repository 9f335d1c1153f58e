from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.selectors import site_named
from apps.core.errors import LynceusError
from apps.fraud.services.frozen import decided_frame
from apps.modelops.services.datasets import new_dataset_folder, register_dataset


class Command(BaseCommand):
    help = "Freeze what was decided, with what is known of it, into a dataset to train on."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--name", required=True)
        parser.add_argument(
            "--mature-days",
            type=int,
            default=60,
            help="After so many days without a word a payment that was not declined is legitimate.",
        )
        parser.add_argument("--site", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        from ml.fraud.importing import freeze_frame

        name, days = options["name"], options["mature_days"]
        if not 1 <= days <= 3650:
            raise CommandError("--mature-days lies between 1 and 3650.")
        try:
            site = site_named(options["site"])
            folder = new_dataset_folder(site, "fraud", name)
            frozen = freeze_frame(decided_frame(site, timedelta(days=days)), folder, name, settings.TIME_ZONE)
            register_dataset(site=site, domain="fraud", name=name, folder=folder, summary=asdict(frozen))
        except LynceusError as error:
            raise CommandError(f"{error.message} ({error.code})") from error
        except ValueError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"Froze {frozen.n} decided payments as {name}: {frozen.n_fraud} fraud, "
            f"{frozen.n_censored} declined without confirmation, "
            f"{frozen.n_passed_through} let through by a draw."
        )
