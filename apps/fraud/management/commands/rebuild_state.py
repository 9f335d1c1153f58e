from __future__ import annotations

from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.selectors import site_named
from apps.core.errors import LynceusError
from apps.core.words import counted
from apps.fraud.serving.services.rebuild import differing, rebuild, write
from ml.fraud.memory import CARD

SHOWN = 20


def moment(given: str) -> datetime:
    at = datetime.fromisoformat(given)
    if at.tzinfo is None:
        raise ValueError("a time needs its zone")
    return at


class Command(BaseCommand):
    help = "Make the running states again from what was decided and heard of, and compare."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--site", default="")
        parser.add_argument("--as-of", type=moment, help="RFC 3339: what was decided and heard until then.")
        parser.add_argument("--write", action="store_true", help="Put them in place of those kept.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            site = site_named(options["site"])
            states = rebuild(site, options["as_of"])
        except LynceusError as error:
            raise CommandError(f"{error.message} ({error.code})") from error
        self.stdout.write(
            f"Made again: {counted(len(states.states), 'state')}, {states.count(CARD):,} of cards."
        )
        found = differing(site, states)
        if options["write"]:
            write(site, states)
            self.stdout.write(f"Written; {len(found):,} differed.")
        elif found:
            shown = ", ".join(found[:SHOWN]) + (" and others" if len(found) > SHOWN else "")
            raise CommandError(f"Not as kept: {counted(len(found), 'state')}: {shown}.")
        else:
            self.stdout.write("All kept states are the same.")
