from __future__ import annotations

import uuid
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.core.errors import LynceusError
from apps.fraud.models import Decision
from apps.fraud.serving.services.replay import replay_decision


class Command(BaseCommand):
    help = "Make a decision's score again from its vector; fails unless equal to the last bit."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("decision", type=uuid.UUID, help="Its id, as in the page's address.")

    def handle(self, *args: Any, **options: Any) -> None:
        decision = Decision.objects.select_related("evidence").filter(public_id=options["decision"]).first()
        if decision is None:
            raise CommandError("There is no such decision.")
        try:
            made = replay_decision(decision)
        except LynceusError as error:
            raise CommandError(f"{error.message} ({error.code})") from error
        told = f"version {decision.model_version}: {made.score!r}, decided with {decision.score!r}"
        if not made.same:
            raise CommandError(f"Not the same, {told}.")
        self.stdout.write(f"The same, {told}; the score alone says {made.by_score}.")
