from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.selectors import site_named
from apps.core.errors import LynceusError
from apps.core.words import counted
from apps.fraud.lifecycle.services.datasets import freeze_payments
from apps.modelops.datasets.services.datasets import new_dataset_folder


class Command(BaseCommand):
    help = "Freeze a dataset of simulated, labelled transactions."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--name", required=True)
        parser.add_argument("--customers", type=int, default=1500)
        parser.add_argument("--terminals", type=int, default=600)
        parser.add_argument("--days", type=int, default=70)
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--site", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        from ml.fraud.simulator import simulate

        name = options["name"]
        try:
            site = site_named(options["site"])
            new_dataset_folder(site, "fraud", name)  # a taken name is said before anything is simulated
        except LynceusError as error:
            raise CommandError(f"{error.message} ({error.code})") from error
        frame = simulate(
            n_customers=options["customers"],
            n_terminals=options["terminals"],
            n_days=options["days"],
            start=datetime(2026, 1, 1, tzinfo=UTC),
            seed=options["seed"],
        )
        world = {one: options[one] for one in ("seed", "customers", "terminals")}
        stream = f"simulated {' '.join(str(one) for one in world.values())}"[:60]
        said = {"source": "simulator", **world}
        frozen = freeze_payments(site, name, frame, stream=stream, provenance=said).summary
        self.stdout.write(
            f"Froze {counted(frozen['n'], 'simulated transaction')},"
            f" {frozen['n_fraud']} of them fraud, as {name}."
        )
