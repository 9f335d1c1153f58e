from __future__ import annotations

from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_date

from apps.core.words import counted
from apps.fraud.watch.services.counts import count_again, count_due


class Command(BaseCommand):
    help = "Count the overview's hours anew from the decisions and labels, since a day."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--since", required=True, help="The first day, as in 2026-11-01.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            day = parse_date(options["since"])
        except ValueError:
            day = None
        if day is None:
            raise CommandError("--since is a date, as in 2026-11-01.")
        hours = count_again(timezone.make_aware(datetime(day.year, day.month, day.day)))
        done = 0
        while more := count_due():
            done += more
        self.stdout.write(f"Counted {done} of {counted(hours, 'hour')}.")
