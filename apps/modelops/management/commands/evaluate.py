from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.core.errors import LynceusError
from apps.modelops.common.selectors import artefact_dir, version_named
from apps.modelops.registry import domain_named, load

FIELDS = (
    "n", "n_excluded", "auc", "ap", "accuracy", "sensitivity", "specificity", "threshold", "cp100", "brier",
    "ece",
)  # fmt: skip


class Command(BaseCommand):
    help = "Measure a version on labelled films or transactions; thresholds come from the artefact."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("domain")
        parser.add_argument("--version", required=True, dest="model_version", help="A number or 'champion'.")
        parser.add_argument("--images", type=Path, help="Radiology: folder or tar of films.")
        parser.add_argument("--labels", type=Path, help="Radiology: CSV of labels.")
        parser.add_argument("--findings", default="", help="Radiology: label columns, by comma.")
        parser.add_argument("--file", type=Path, help="Fraud: parquet or CSV of transactions.")
        parser.add_argument(
            "--mapping", default="", help="Fraud: JSON file, or the name of a built-in mapping."
        )
        parser.add_argument("--history", type=Path, help="Fraud: earlier transactions that warm the state.")
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--json", type=Path, dest="out", required=True)

    def create_parser(self, *args: Any, **kwargs: Any) -> CommandParser:
        """Django's own --version flag gives way: here a version is a model's."""
        return super().create_parser(*args, conflict_handler="resolve", **kwargs)

    def handle(self, *args: Any, domain: str, model_version: str, out: Path, **options: Any) -> None:
        try:
            version = version_named(domain, model_version)
            options["variant"] = version.variant
            report = load(domain_named(domain).evaluator)(artefact_dir(version), options)
        except LynceusError as error:
            raise CommandError(f"{error.message} ({error.code})") from error
        except (ValueError, OSError) as error:
            raise CommandError(str(error)) from error
        values = {name: report.values.get(name) for name in FIELDS}
        extra = {name: value for name, value in report.values.items() if name not in FIELDS}
        intervals = {name: list(pair) for name, pair in report.intervals.items()}
        document = {**values, **extra, "intervals": intervals, "version": version.number}
        out.write_text(json.dumps(document, indent=1))
        self.stdout.write(json.dumps(values))
