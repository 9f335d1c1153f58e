from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.selectors import site_named
from apps.core.errors import LynceusError
from apps.core.words import counted
from apps.modelops.common.lines import progress_line
from apps.modelops.common.selectors import dataset_named, jobs_of_folds, lease_left_s, unfinished_job
from apps.modelops.jobs.folds import Spread, as_json, spreads_of
from apps.modelops.jobs.services.control import request_resume
from apps.modelops.jobs.services.folds import cancel_folds, request_folds
from apps.modelops.jobs.services.jobs import request_training, wanted_params
from apps.modelops.jobs.services.runner import run_next
from apps.modelops.models import DatasetSnapshot, ModelVersion, TrainingJob
from apps.modelops.promotion.services.promotion import install_first_champion, require_no_champion

LOOK_EVERY_S = 2.0


class Command(BaseCommand):
    help = "Train a model on a frozen dataset and wait for it. Needs no running server."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("domain")
        parser.add_argument("--dataset", required=True, help="Name of a frozen dataset.")
        parser.add_argument("--preset", default="full")
        parser.add_argument("--param", action="append", default=[], metavar="NAME=JSON")
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--device", choices=TrainingJob.Device.values, default=TrainingJob.Device.AUTO)
        parser.add_argument("--site", default="", help="Slug; needed only where there are several sites.")
        parser.add_argument("--promote", action="store_true", help="Make it the domain's first champion.")
        parser.add_argument(
            "--resume",
            action="store_true",
            help="Go on with an unfinished or paused job of the same kind, if any; Ctrl-C leaves it so.",
        )
        parser.add_argument(
            "--folds",
            type=int,
            help="Judge it by so many folds of the training part, 2 to 10, and make no version.",
        )
        parser.add_argument(
            "--json", type=Path, dest="out", help="Write {version, job}, or what the folds came to, here."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._train(**options)
        except LynceusError as error:
            raise CommandError(f"{error.message} ({error.code})") from error

    def _train(self, *, domain: str, dataset: str, out: Path | None, **options: Any) -> None:
        site = site_named(options["site"])
        if options["folds"] is not None:
            if options["promote"] or options["resume"]:
                raise CommandError("--folds makes no version: it goes with neither --promote nor --resume.")
            return self._judge(dataset_named(site, domain, dataset), out, options)
        if options["promote"]:
            require_no_champion(domain)  # now, and not after hours of training
        job = self._job(dataset_named(site, domain, dataset), options)
        version = self._finished(job, resumable=options["resume"])
        if version is None:
            raise self._failure(TrainingJob.objects.get(pk=job.pk))
        if options["promote"]:
            install_first_champion(version, by=None, site=site)
        self.stdout.write(f"{domain} version {version.number} made by job {job.pk}.")
        if out:
            out.write_text(json.dumps({"version": version.number, "job": job.pk}))
        return None

    def _judge(self, dataset: DatasetSnapshot, out: Path | None, options: Mapping[str, Any]) -> None:
        crossed = request_folds(
            dataset=dataset, folds=options["folds"], preset=options["preset"],
            params=_params(options["param"]), seed=options["seed"], device=options["device"],
            ring_worker=False,
        )  # fmt: skip
        try:
            for job in jobs_of_folds(crossed):
                self.stdout.write(f"Fold {job.fold} of {crossed.folds}, job {job.pk}.")
                self._finished(job, resumable=False)
        except KeyboardInterrupt:
            cancel_folds(crossed, by=None)
            raise
        jobs = jobs_of_folds(crossed)
        document = {"cross_validation": crossed.pk, "folds": [job.measured for job in jobs], **as_json(jobs)}
        for one in spreads_of(jobs):
            self.stdout.write(f"{one.title}: {_span(one)} over {counted(one.n, 'fold')}.")
        if out:
            out.write_text(json.dumps(document))
        if lost := [job for job in jobs if job.status != TrainingJob.Status.SUCCEEDED]:
            raise CommandError(" ".join(str(self._failure(job)) for job in lost))

    def _job(self, dataset: DatasetSnapshot, options: Mapping[str, Any]) -> TrainingJob:
        preset, seed, given = options["preset"], options["seed"], _params(options["param"])
        if options["resume"]:
            params = wanted_params(dataset.domain, preset, given)
            if job := unfinished_job(dataset, preset=preset, params=params, seed=seed):
                if job.status == TrainingJob.Status.PAUSED:
                    request_resume(job, by=None, ring_worker=False)
                return job
        return request_training(
            dataset=dataset, preset=preset, params=given, seed=seed, device=options["device"],
            ring_worker=False,
        )  # fmt: skip

    def _finished(self, job: TrainingJob, *, resumable: bool) -> ModelVersion | None:
        """The version it comes to, whoever makes it: this process, in one attempt or in several, or a worker
        that holds the job. None where it comes to none."""
        while True:
            self._wait_for_its_holder(job)
            fence = job.fence
            if (version := run_next(job.pk, self._show, resumable=resumable)) is not None:
                return version
            job.refresh_from_db()
            if not job.is_open:
                return ModelVersion.objects.filter(job=job).first()
            if job.fence == fence and job.status == TrainingJob.Status.QUEUED:
                time.sleep(LOOK_EVERY_S)  # another job has the device

    def _wait_for_its_holder(self, job: TrainingJob) -> None:
        said = False
        while (left_s := lease_left_s(job)) > 0:
            if not said:
                self.stdout.write(
                    f"Job {job.pk} has a holder: it is waited for, or for {left_s:.0f} s if it was cut off."
                )
            said = True
            time.sleep(min(left_s, LOOK_EVERY_S))

    def _failure(self, job: TrainingJob) -> CommandError:
        said = f": {job.error_message} ({job.error_code})" if job.error_code else "."
        return CommandError(f"Job {job.pk} {job.status}{said}")

    def _show(self, progress: Mapping[str, Any]) -> None:
        self.stdout.write(progress_line(progress))


def _span(one: Spread) -> str:
    low, high = one.mean.low, one.mean.high
    told = "" if low is None or high is None else f" ({low:.4f} to {high:.4f})"
    return f"{one.mean.value:.4f}{told}"


def _params(given: list[str]) -> dict[str, Any]:
    try:
        return {name: json.loads(value) for name, value in (pair.split("=", 1) for pair in given)}
    except ValueError as error:
        raise CommandError("A parameter is given as NAME=JSON, for example --param epochs=4.") from error
