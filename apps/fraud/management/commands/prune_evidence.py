from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.core.clock import now
from apps.core.words import counted
from apps.fraud.serving.services.evidence import prune_evidence


class Command(BaseCommand):
    help = "Delete feature rows and reasons of decisions older than so many days. The decisions stay."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--days", type=int, required=True)

    def handle(self, *args: Any, days: int, **options: Any) -> None:
        count = prune_evidence(before=now() - timedelta(days=max(0, days)))
        self.stdout.write(f"Pruned the evidence of {counted(count, 'decision')}.")
