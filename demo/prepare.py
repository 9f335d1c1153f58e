"""Before the processes start: the database, the people, and a first model for each desk. Done once."""

from __future__ import annotations

import shutil
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import django
from django.core.management import CommandError, call_command

from demo.places import Places, size

if TYPE_CHECKING:
    from apps.accounts.models import Site

DATASET = "demo"
SENT_AT_START, TO_TRY = 12, 12
FILM_ROWS = 1024
BACKBONE = "mobilenetv2_100"
SIMULATED = {
    "demo": {"fraud": {}, "radiology": {"films": 1600}},
    "tiny": {"fraud": {"customers": 250, "terminals": 80, "days": 40}, "radiology": {"films": 160}},
}


def main() -> None:
    django.setup()
    places, wanted = Places.from_environment(), size()
    _step("Preparing the database")
    call_command("migrate", verbosity=0)
    from demo.seed import seed

    site = seed()
    for domain, simulate in (("fraud", "simulate_transactions"), ("radiology", "simulate_films")):
        _first_model(domain, simulate, site.slug, wanted)
    _films(places.films)
    _past(site, wanted)
    _day(site, wanted)


def _weights() -> None:
    """Better to start the film model from; done without where there is no internet."""
    from django.conf import settings

    folder = Path(settings.LYNCEUS_BACKBONE_DIR)
    if any(folder.glob(f"{BACKBONE}*.safetensors")):
        return
    _step(f"Looking for published weights of {BACKBONE} to start the film model from")
    try:
        call_command("fetch_weights", BACKBONE, timeout=60.0)
    except CommandError as error:
        _step(f"{error} The film model starts from nothing instead, and will be the weaker for it.")


def _first_model(domain: str, simulate: str, site: str, wanted: str) -> None:
    from apps.modelops.common.selectors import champion
    from apps.modelops.models import DatasetSnapshot

    if champion(domain) is not None:
        return
    if not DatasetSnapshot.objects.filter(domain=domain, name=DATASET, site__slug=site).exists():
        _step(f"Simulating data for {domain}")
        call_command(simulate, name=DATASET, site=site, **SIMULATED[wanted][domain])
    if domain == "radiology" and wanted == "demo":
        _weights()
    _step(f"Training the first {domain} model")
    start = time.monotonic()
    call_command("train", domain, dataset=DATASET, preset=wanted, site=site, promote=True, resume=True)
    _step(f"Trained in {time.monotonic() - start:.0f} s")


def _films(folder: Path) -> None:
    from ml.radiology.synthetic import write_films

    if folder.is_dir():
        return
    _step("Drawing films to send")
    unfinished = folder.with_name(f".{folder.name}")
    shutil.rmtree(unfinished, ignore_errors=True)
    write_films(unfinished, SENT_AT_START + TO_TRY, seed=2026, rows=FILM_ROWS, workers=2)
    unfinished.rename(folder)


def _past(site: Site, wanted: str) -> None:
    """Not in the way of what is sent now: signed, and weeks old."""
    from apps.fraud.models import Transaction
    from apps.radiology.models import ReadingPolicy
    from demo.past_payments import decide_the_past
    from demo.past_reads import read_the_past

    if not ReadingPolicy.objects.filter(site=site).exists():
        _step("Drawing a quarter of synthetic reads")
        read_the_past(site, wanted)
    if not Transaction.objects.filter(source__site=site).exists():
        _step("Deciding a season of synthetic payments")
        decide_the_past(site, wanted)


def _day(site: Site, wanted: str) -> None:
    from demo.day import fill_the_day

    _step("Filling the worklist with a day's studies")
    fill_the_day(site, wanted)


def _step(words: str) -> None:
    sys.stdout.write(f"\n{words}\n")
    sys.stdout.flush()


def _stop(number: int, frame: FrameType | None) -> None:
    """Once is enough: a second Ctrl-C must not cut short what the first one lets go of."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
