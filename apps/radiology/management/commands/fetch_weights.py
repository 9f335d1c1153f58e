from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser


class Command(BaseCommand):
    help = "Download published weights for a network, for training to start from. Training itself never does."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("backbone", help="timm's name, for example mobilenetv2_100.")
        parser.add_argument("--timeout", type=float, default=120.0, help="Seconds the download may take.")

    def handle(self, *args: Any, **options: Any) -> None:
        from ml.radiology.weights import WeightsError, fetch_weights

        folder = settings.LYNCEUS_BACKBONE_DIR
        try:
            path = fetch_weights(options["backbone"], folder, timeout_s=options["timeout"])
        except (WeightsError, OSError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Kept {path}.")
