from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from apps.core.words import counted
from apps.fraud.wire.services.deliver import requeue_dead


class Command(BaseCommand):
    help = "Try again to tell sources of the decisions that delivery was given up for."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"Requeued {counted(requeue_dead(), 'delivery', 'deliveries')}.")
