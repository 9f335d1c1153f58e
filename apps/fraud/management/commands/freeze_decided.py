from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.selectors import site_named
from apps.core.errors import LynceusError
from apps.core.words import counted
from apps.fraud.lifecycle.services.datasets import freeze_decided


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
        name, days = options["name"], options["mature_days"]
        if not 1 <= days <= 3650:
            raise CommandError("--mature-days lies between 1 and 3650.")
        try:
            site = site_named(options["site"])
            frozen = freeze_decided(site, name, timedelta(days=days))
        except LynceusError as error:
            raise CommandError(f"{error.message} ({error.code})") from error
        except ValueError as error:
            raise CommandError(str(error)) from error
        told = frozen.summary
        self.stdout.write(
            f"Froze {counted(told['n'], 'decided payment')} as {name}: {told['n_fraud']} fraud, "
            f"{told['n_censored']} declined without confirmation, "
            f"{told['n_passed_through']} let through by a draw."
        )
