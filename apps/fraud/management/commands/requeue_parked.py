from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from apps.core.words import counted
from apps.fraud.decide.services.drain import requeue_parked


class Command(BaseCommand):
    help = "Let the workers try again what they parked, once its cause has been mended."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"Requeued {counted(requeue_parked(), 'transaction')}.")
