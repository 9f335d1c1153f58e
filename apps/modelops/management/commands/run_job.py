from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.modelops.jobs.services import child


class Command(BaseCommand):
    help = "Train one job in this process, for its supervisor. Use `train` to train by hand."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("job", type=int)
        parser.add_argument("fence", type=int)

    def handle(self, *args: Any, job: int, fence: int, **options: Any) -> None:
        sys.exit(child.run(job, fence))
