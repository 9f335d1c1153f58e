"""A department's day as it stands when the demo is up: films since the morning, each ordered from somewhere,
much of it read, some of it not the model's to judge, the last ones still to be analysed by the worker."""

from __future__ import annotations

import csv
import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from django.db import transaction
from django.db.models import F

from apps.accounts.models import Site, User
from apps.core.clock import now
from apps.radiology.analysis.services.analyse import analyse_instance
from apps.radiology.common.services.draws import throw
from apps.radiology.common.services.senders import Sender
from apps.radiology.models import SIGNED, Instance, Priority, Purpose, Read, SecondRead, Study
from apps.radiology.reading.services.hand_over import hand_over
from apps.radiology.reading.services.reads import begin_read, commit_read, keep_draft
from apps.radiology.reading.services.second_reads import request_second_read
from apps.radiology.studies.services.locks import release_lock
from apps.radiology.studies.services.orders import change_order
from apps.radiology.studies.services.studies import sum_up_reads
from demo.films import dated, take_in
from demo.orders import PLACES, Place
from demo.simulated_reader import TEXT, read_whole, says

SEED, PREFIX = 47, "DAY-"
FILMS = {"demo": 160, "tiny": 16}
ROWS = {"demo": 512, "tiny": 256}
LENGTH = timedelta(hours=9)
FRESH = timedelta(minutes=30)  # received since then: left to the worker, whose list says that it is behind
# By when half of what was ordered so is signed.
HALF_SIGNED = {
    Priority.STAT: timedelta(minutes=25),
    Priority.URGENT: timedelta(hours=2),
    Priority.ROUTINE: timedelta(hours=6),
}
SIGNED_MAX = 0.94
ODD_EVERY = 13
# What the model is not asked about, as it comes: a view nobody entered, a child.
ODD = ({"ViewPosition": ""}, {"PatientAge": "009Y"}, {"ViewPosition": ""}, {"PatientAge": "014Y"})
SECOND_READS, UNSIGNED = 5, 2


@dataclass(frozen=True, slots=True)
class Exam:
    """One study of the day. `about` is what its header says in place of the drawing's; `signed` is None while
    nobody has read it."""

    film: str
    received: datetime
    order: Mapping[str, str]
    truth: Mapping[str, bool]
    signed: datetime | None
    by_colleague: bool
    about: Mapping[str, str] = field(default_factory=dict)


def fill_the_day(site: Site, size: str) -> None:
    """The whole day or none of it: once it is there, another start adds nothing."""
    if Study.objects.filter(site=site, AccessionNumber__startswith=PREFIX).exists():
        return
    logging.disable(logging.WARNING)  # as for the past: nobody hears the bells yet
    try:
        with tempfile.TemporaryDirectory() as scratch:
            exams = plan(_drawn(Path(scratch), size), now())
            with transaction.atomic():
                _fill(site, exams, Path(scratch))
    finally:
        logging.disable(logging.NOTSET)


def _drawn(folder: Path, size: str) -> list[dict[str, str]]:
    from ml.radiology.synthetic import write_films

    with write_films(folder, FILMS[size], seed=SEED, rows=ROWS[size], workers=2).open() as table:
        return list(csv.DictReader(table))


def plan(films: Sequence[Mapping[str, str]], at: datetime) -> list[Exam]:
    """Rows of the drawn films' table as the studies of a day that ends `at`, in the order they came in."""
    rng = np.random.default_rng(SEED)
    # Not in the order of drawing, in which a patient's two films come together.
    shuffled = [films[i] for i in rng.permutation(len(films))]
    step = LENGTH / len(films)
    return [
        _exam(film, number, at - LENGTH + step * (number + float(rng.random())), at, rng)
        for number, film in enumerate(shuffled)
    ]


def _exam(
    film: Mapping[str, str], number: int, received: datetime, at: datetime, rng: np.random.Generator
) -> Exam:
    from ml.radiology.synthetic import LABELS

    is_upright = film["view"] == "PA"
    shares = np.array([place.upright if is_upright else place.bedside for place in PLACES])
    place = PLACES[int(rng.choice(len(PLACES), p=shares / shares.sum()))]
    priority = _priority(place, float(rng.random()))
    order = {
        "priority": priority.value,
        "location": str(rng.choice(place.rooms)),
        "clinical_question": place.questions[number % len(place.questions)],
    }
    odd = ODD[number // ODD_EVERY % len(ODD)] if number % ODD_EVERY == ODD_EVERY - 1 else {}
    described = "SYNTHETIC chest" if odd else f"SYNTHETIC chest {film['view']}"
    about = {"AccessionNumber": f"{PREFIX}{number + 1:04d}", "StudyDescription": described, **odd}
    truth = {label: film[label] == "1" for label in LABELS}
    signed = _signed(priority, received, at, rng)
    return Exam(film["file"], received, order, truth, signed, bool(rng.random() < 0.6), about)


def _priority(place: Place, chance: float) -> Priority:
    if chance < place.stat:
        return Priority.STAT
    return Priority.URGENT if chance < place.stat + place.urgent else Priority.ROUTINE


def _signed(
    priority: Priority, received: datetime, at: datetime, rng: np.random.Generator
) -> datetime | None:
    """When, if it was: the more likely the longer it has waited."""
    waited, chance, share = at - received, float(rng.random()), float(rng.uniform(0.15, 0.9))
    if waited < FRESH or chance > min(SIGNED_MAX, waited / HALF_SIGNED[priority] / 2):
        return None
    return received + share * min(waited, 1.5 * HALF_SIGNED[priority])


def _fill(site: Site, exams: Sequence[Exam], folder: Path) -> None:
    sender, rng = Sender(site, "c-store", name="DEMO_MODALITY"), np.random.default_rng((SEED, 1))
    readers = [User.objects.get(email=f"{name}@demo.example") for name in ("radiologist2", "radiologist")]
    fresh = now() - FRESH
    early = {_send(exam, folder, sender): exam for exam in exams if exam.received <= fresh}
    for pk in early:
        analyse_instance(pk)
    films = Instance.objects.select_related("study__site").in_bulk(list(early))
    for pk, exam in early.items():
        study = films[pk].study
        throw(study, Purpose.SAMPLE)
        Study.objects.filter(pk=study.pk).update(complete_at=exam.received + timedelta(seconds=30))
        Instance.objects.filter(pk=pk, analysed_at__isnull=False).update(
            analysed_at=exam.received + timedelta(seconds=8)
        )
        if exam.signed is not None:
            read_whole(study, readers[0 if exam.by_colleague else 1], exam.truth, exam.signed, rng)
    for exam in exams:
        if exam.received > fresh:
            _send(exam, folder, sender)
    truths = {films[pk].study_id: exam.truth for pk, exam in early.items()}
    _ask_for_second_reads(site, readers)
    _leave_unsigned(site, readers, truths, rng)
    # Reports of the model's findings are made of a study once something happens to it: not of all at once.
    Study.objects.filter(pk__in=truths).update(results_for=F("changed_at"))


def _send(exam: Exam, folder: Path, sender: Sender) -> int:
    """The film in, dated to when it is said to have come, and ordered."""
    instance = take_in(dated(folder / exam.film, exam.received, **exam.about), sender)
    at = {"received_at": exam.received}
    Instance.objects.filter(pk=instance.pk).update(**at)
    Study.objects.filter(pk=instance.study_id).update(**at, last_received_at=exam.received)
    change_order(sender.site, instance.study.StudyInstanceUID, exam.order, actor=sender.actor)
    return instance.pk


def _ask_for_second_reads(site: Site, readers: Sequence[User]) -> None:
    """Each reader asks for some of the other's."""
    for reader in readers:
        of_today = Read.objects.filter(reader=reader, study__AccessionNumber__startswith=PREFIX)
        signed = of_today.filter(study__site=site, signed_at__isnull=False, second_reads=None)
        for read in signed.select_related("study").order_by("-signed_at")[:SECOND_READS]:
            asked = request_second_read(read.study, reader)
            SecondRead.objects.filter(pk=asked.pk).update(at=read.signed_at)
            sum_up_reads(read.study)


def _leave_unsigned(
    site: Site, readers: Sequence[User], truths: Mapping[int, Mapping[str, bool]], rng: np.random.Generator
) -> None:
    """Committed and not yet signed; being read now; left for the other reader with a word."""
    colleague, visitor = readers
    unread = Study.objects.filter(site=site, pk__in=truths).exclude(read_state__in=SIGNED)
    listed = unread.select_related("site").order_by("rank_at", "pk")
    chosen = list(listed[UNSIGNED : 2 * UNSIGNED + 2])
    for number, study in enumerate(chosen):
        read = begin_read(study, colleague)
        keep_draft(read, says(truths[study.pk], rng), TEXT)
        if number < UNSIGNED:
            commit_read(read)
            release_lock(study, colleague)
    hand_over(chosen[-1], colleague, to=visitor, note="Please finish this one: I am called away.")
