"""A quarter of synthetic reads: drawn films, the demo's own model, and two readers who err as chance says.

What the model says of the films is real; what readers say is the truth of the drawing, spoilt at known rates.
"""

from __future__ import annotations

import csv
import logging
import shutil
import tempfile
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from django.db.models import F

from apps.accounts.models import Site, User
from apps.core.clock import now
from apps.radiology.models import (
    Discrepancy,
    Instance,
    Purpose,
    Read,
    ReadingPolicy,
    Reason,
    SecondRead,
    Study,
)
from apps.radiology.reads import Said
from apps.radiology.services.adjudicate import Settlement, adjudicate, open_case
from apps.radiology.services.analyse import analyse_instance
from apps.radiology.services.compare import compare_due_studies
from apps.radiology.services.draws import throw
from apps.radiology.services.freeze_reads import freeze_reads
from apps.radiology.services.ingest import ingest_instance
from apps.radiology.services.reads import begin_read, commit_read, keep_draft, sign_read
from apps.radiology.services.senders import Sender
from apps.radiology.store import incoming

SEED, ROWS, DAYS = 31, 256, 80
FILMS = {"demo": 260, "tiny": 60}
RATES = {"second_read_rate": 0.35, "sample_rate": 0.3}  # of the past; the site goes on with few percent
GOES_ON = {"second_read_rate": 0.03, "sample_rate": 0.05}
MISSED, OVERCALLED, UNSURE, PERSUADED = 0.09, 0.03, 0.02, 0.4
GIVEN, LEFT_OPEN = 0.95, 0.5
REASONS = {"present": (Reason.MISSED, Reason.SATISFACTION), "absent": (Reason.OVERCALLED, Reason.DEFINITION)}
POINTS = (
    "Compare both costophrenic angles.",
    "",
    "A nipple shadow is symmetric.",
    "",
    "Look behind the heart.",
)


def read_the_past(site: Site, size: str) -> None:
    """Films in, analysed, read, read again, settled, frozen."""
    logging.disable(logging.WARNING)  # nobody hears the bells yet, and nobody wants to read that here
    try:
        _read_all(site, size)
    finally:
        logging.disable(logging.NOTSET)


def _read_all(site: Site, size: str) -> None:
    policy = ReadingPolicy.objects.create(site=site, **RATES)
    rng = np.random.default_rng(SEED)
    readers = [User.objects.get(email=f"{name}@demo.example") for name in ("radiologist", "radiologist2")]
    films = _films(site, FILMS[size])
    for study, truth in films:
        _read_one(study, truth, readers, rng)
    compare_due_studies()
    _settle(site, {study.pk: truth for study, truth in films}, readers, rng)
    compare_due_studies()
    Study.objects.filter(site=site).update(results_for=F("changed_at"))
    ReadingPolicy.objects.filter(pk=policy.pk).update(**GOES_ON)
    freeze_reads(site, "reads")


def _films(site: Site, n: int) -> list[tuple[Study, Mapping[str, bool]]]:
    """Studies, analysed and complete, with what was drawn on their films."""
    from ml.radiology.synthetic import LABELS, write_films

    sender, found = Sender(site, "stow", name="Demo archive"), []
    with tempfile.TemporaryDirectory() as scratch:
        with write_films(Path(scratch), n, seed=SEED, rows=ROWS, workers=2).open() as table:
            rows = list(csv.DictReader(table))
        for row in rows:
            with incoming() as path:
                shutil.copyfile(Path(scratch) / row["file"], path)
                instance = ingest_instance(path, sender=sender).instance
            if instance is not None:
                found.append((instance.pk, {label: row[label] == "1" for label in LABELS}))
    for pk, _ in found:
        analyse_instance(pk)
    studies = Instance.objects.select_related("study__site").in_bulk([pk for pk, _ in found])
    return [(studies[pk].study, truth) for pk, truth in found]


def _read_one(study: Study, truth: Mapping[str, bool], readers: list[User], rng: np.random.Generator) -> None:
    received = now() - timedelta(days=float(rng.uniform(1, DAYS)))
    throw(study, Purpose.SAMPLE)
    first, second = (readers[i] for i in rng.permutation(2))
    hours = float(rng.lognormal(0.2 if study.raised else 1.0, 0.7))
    _whole(study, first, truth, received + timedelta(hours=hours), rng)
    if study.second_reads.exists() and rng.random() < GIVEN:
        _whole(study, second, truth, received + timedelta(hours=hours + 5), rng)
    Study.objects.filter(pk=study.pk).update(
        received_at=received,
        last_received_at=received,
        complete_at=received + timedelta(seconds=30),
    )


def _whole(
    study: Study, reader: User, truth: Mapping[str, bool], at: datetime, rng: np.random.Generator
) -> None:
    """Begun, committed, reconsidered and signed; dated to when it is said to have been."""
    read = begin_read(study, reader, over=True)
    said = {label: Said(_sees(present, rng)) for label, present in truth.items()}
    keep_draft(read, said, "SYNTHETIC report.")
    read = commit_read(read)
    for label, one in said.items():
        if one.verdict == "absent" and label in study.raised_by and rng.random() < PERSUADED:
            said[label] = Said("present")
    keep_draft(read, said, "SYNTHETIC report.")
    read = sign_read(read)
    committed = at - timedelta(minutes=2)
    read.marks.filter(after_reveal=False).update(at=at - timedelta(minutes=4))
    read.marks.filter(after_reveal=True).update(at=at - timedelta(minutes=1))
    dated = {"opened_at": at - timedelta(minutes=6), "committed_at": committed, "signed_at": at}
    Read.objects.filter(pk=read.pk).update(**dated)


def _sees(present: bool, rng: np.random.Generator) -> str:
    if rng.random() < UNSURE:
        return "unsure"
    wrong = rng.random() < (MISSED if present else OVERCALLED)
    return "present" if present != wrong else "absent"


def _settle(
    site: Site, truths: Mapping[int, Mapping[str, bool]], readers: list[User], rng: np.random.Generator
) -> None:
    """Half of the cases, as it was drawn, by the reader who did not read them where there is one."""
    waiting = SecondRead.objects.filter(read=None).values("study")
    open_ones = Discrepancy.objects.filter(study__site=site, settled_at=None).exclude(study__in=waiting)
    for study in Study.objects.filter(pk__in=open_ones.values("study")).order_by("pk"):
        if rng.random() < LEFT_OPEN:
            continue
        first = study.reads.order_by("pk").values_list("reader", flat=True)[0]
        judge = next(one for one in readers if one.pk != first)
        open_case(study, judge)
        labels = open_ones.filter(study=study).values_list("label", flat=True).distinct()
        said = {label: _settlement(truths[study.pk][label], rng) for label in labels}
        adjudicate(study, judge, said)


def _settlement(present: bool, rng: np.random.Generator) -> Settlement:
    verdict = "present" if present else "absent"
    reason = str(rng.choice([one.value for one in REASONS[verdict]]))
    return Settlement(verdict, reason, str(rng.choice(POINTS)))
