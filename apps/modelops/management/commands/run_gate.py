from __future__ import annotations

import sys
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.modelops.jobs.services.child import end_with_parent
from apps.modelops.promotion.services.gate_process import run_gate


class Command(BaseCommand):
    help = "Hold one version against the champion in this process, for its supervisor."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("run", type=int)
        parser.add_argument("fence", type=int)

    def handle(self, *args: Any, run: int, fence: int, **options: Any) -> None:
        threading.Thread(target=end_with_parent, daemon=True).start()
        sys.exit(run_gate(run, fence))
