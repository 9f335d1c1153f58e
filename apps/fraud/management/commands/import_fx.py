from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.core.words import counted
from apps.fraud.common.services.rates import import_rates


class Command(BaseCommand):
    help = "Read exchange rates from a CSV file with the columns currency, date, rate (EUR per unit)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--file", type=Path, required=True)

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        try:
            with file.open(newline="", encoding="utf-8") as lines:
                count = import_rates(lines)
        except (ValueError, OSError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Read {counted(count, 'rate')}.")
