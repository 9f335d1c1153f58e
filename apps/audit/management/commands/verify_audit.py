from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.audit.models import AuditSeal
from apps.audit.services.chain import problems
from apps.core.words import counted


class Command(BaseCommand):
    help = (
        "Recompute the audit chain. Ends with an error if a row was edited, deleted, cut off or not sealed."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        found = 0
        for problem in problems():
            found += 1
            self.stderr.write(problem)
        if found:
            raise CommandError(f"The audit chain is broken: {counted(found, 'problem')}.")
        self.stdout.write(f"The audit chain is whole: {counted(AuditSeal.objects.count(), 'event')}.")
