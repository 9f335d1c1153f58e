from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.selectors import site_named
from apps.core.errors import LynceusError
from apps.modelops.models import DatasetSnapshot, TrainingJob
from apps.modelops.selectors import dataset_named, lease_left_s, unfinished_job
from apps.modelops.services.jobs import request_training
from apps.modelops.services.promotion import promote_version
from apps.modelops.services.runner import run_next


class Command(BaseCommand):
    help = "Train a model on a frozen dataset and wait for it. Needs no running server."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("domain")
        parser.add_argument("--dataset", required=True, help="Name of a frozen dataset.")
        parser.add_argument("--preset", default="full")
        parser.add_argument("--param", action="append", default=[], metavar="NAME=JSON")
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--site", default="", help="Slug; needed only where there are several sites.")
        parser.add_argument("--promote", action="store_true", help="Make the new version the champion.")
        parser.add_argument(
            "--resume",
            action="store_true",
            help="Go on with an unfinished job of the same kind, if any; Ctrl-C leaves it unfinished.",
        )
        parser.add_argument("--json", type=Path, dest="out", help="Write {version, job} here.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._train(**options)
        except LynceusError as error:
            raise CommandError(f"{error.message} ({error.code})") from error

    def _train(self, *, domain: str, dataset: str, out: Path | None, **options: Any) -> None:
        site = site_named(options["site"])
        job = self._job(dataset_named(site, domain, dataset), options)
        version = run_next(job.pk, self._show, resumable=options["resume"])
        if version is None:
            job = TrainingJob.objects.get(pk=job.pk)
            if job.status == TrainingJob.Status.RUNNING:
                raise CommandError(f"A worker took job {job.pk} first: see its page.")
            raise CommandError(f"Job {job.pk} {job.status}: {job.error_message} ({job.error_code})")
        if options["promote"]:
            promote_version(version, by=None, site=site)
        self.stdout.write(f"{domain} version {version.number} made by job {job.pk}.")
        if out:
            out.write_text(json.dumps({"version": version.number, "job": job.pk}))

    def _job(self, dataset: DatasetSnapshot, options: Mapping[str, Any]) -> TrainingJob:
        preset, seed = options["preset"], options["seed"]
        job = unfinished_job(dataset, preset=preset, seed=seed) if options["resume"] else None
        if job is None:
            params = _params(options["param"])
            return request_training(
                dataset=dataset, preset=preset, params=params, seed=seed, ring_worker=False
            )
        while (left_s := lease_left_s(job)) > 0:
            self.stdout.write(f"Job {job.pk} was cut off: it is free again in {left_s:.0f} s.")
            time.sleep(min(left_s, 5.0))
        return job

    def _show(self, progress: Mapping[str, Any]) -> None:
        self.stdout.write(progress_line(progress))


def progress_line(progress: Mapping[str, Any]) -> str:
    """One line of progress for a terminal."""
    parts = [str(progress.get("phase", ""))]
    if "epoch" in progress and "epochs" in progress:
        parts.append(f"epoch {progress['epoch']}/{progress['epochs']}")
    if "rate" in progress:
        parts.append(f"{progress['rate']:.0f} {progress.get('rate_unit', 'items')}/s")
    if "eta_s" in progress:
        parts.append(f"{progress['eta_s']:.0f} s left")
    parts += [f"{name} {value:.4g}" for name, value in progress.get("metrics", {}).items()]
    if "message" in progress:
        parts.append(str(progress["message"]))
    return "  ".join(parts)


def _params(given: list[str]) -> dict[str, Any]:
    try:
        return {name: json.loads(value) for name, value in (pair.split("=", 1) for pair in given)}
    except ValueError as error:
        raise CommandError("A parameter is given as NAME=JSON, for example --param epochs=4.") from error
