"""Freeze what readers said into a dataset as `import_images` makes them, and remember which read is in it."""

from __future__ import annotations

import csv
import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.db import transaction

from apps.accounts.models import Site
from apps.audit.services import Actor
from apps.modelops.models import DatasetSnapshot
from apps.modelops.services.datasets import new_dataset_folder, register_dataset
from apps.radiology.changes import rejected_uids
from apps.radiology.models import (
    NOT_REJECTED,
    Draw,
    FrozenLabel,
    Instance,
    Purpose,
    Read,
    Status,
    Study,
)
from apps.radiology.read_labels import StudyReads, reads_of_studies
from apps.radiology.store import film_path
from ml.radiology.reader_labels import Label, told_of_weights, weight_of

CHUNK = 500
PARTS = ((0.15, "test"), (0.30, "val"))  # of 0..1; the rest trains
ABOUT = ("file", "patient_id", "split", "sex", "age", "view", "synthetic", "selection_probability")
OF_LABEL = ("read by", "read at", "adjudicated")
Row = dict[str, Any]


def freeze_reads(site: Site, name: str, *, actor: Actor = None) -> DatasetSnapshot:
    """Every label of the site's reads, with the films it is of; a patient is in one part of all of them.

    Raises LynceusError for a bad or taken name, ValueError where no read has a label yet.
    """
    from dataclasses import asdict

    from ml.radiology.importing import freeze_images

    folder = new_dataset_folder(site, "radiology", name)
    frozen: dict[str, StudyReads] = {}
    rows = list(_rows(site, frozen))
    findings = sorted({label for held in frozen.values() for label in held.labels})
    if not findings:
        raise ValueError(
            "No read of this site has a label yet: only what is committed before the reveal counts."
        )
    weights = {row["file"]: weight_of(row["selection_probability"] or None) for row in rows}
    with tempfile.TemporaryDirectory() as scratch:
        table = Path(scratch) / "labels.csv"
        _write(table, rows, findings)
        films = _root(site)
        made = freeze_images(
            films, table, findings, folder, name, rejected=rejected_uids(site), weights=weights
        )
    files = _kept(folder)
    with transaction.atomic():
        snapshot = register_dataset(
            site=site, domain="radiology", name=name, folder=folder, actor=actor,
            summary={
                **asdict(made), "from": "reads",
                "weights": told_of_weights([weights[file] for file in files]),
            },
        )  # fmt: skip
        kept = {frozen[file].study.pk: frozen[file] for file in files}
        FrozenLabel.objects.bulk_create(
            FrozenLabel(
                dataset=snapshot, read=read, label=label, present=said.present, adjudicated=said.adjudicated
            )
            for held in kept.values()
            for read, label, said in _credited(held)
        )  # fmt: skip
    return snapshot


def _credited(held: StudyReads) -> Iterator[tuple[Read, str, Label]]:
    """Each read with those of its findings that are labels as it says them."""
    for one in held.usable:
        for label, why in held.why_not(one).items():
            if why is None:
                yield one.read, label, held.labels[label]


def _rows(site: Site, frozen: dict[str, StudyReads]) -> Iterator[Row]:
    """One a film; `frozen` learns whose reads each file stands for."""
    read = Study.objects.filter(site=site, withdrawn=False, reads__committed_at__isnull=False)
    keys = sorted(set(read.values_list("pk", flat=True)))
    for start in range(0, len(keys), CHUNK):
        held = reads_of_studies(keys[start : start + CHUNK])
        chances = _chances(held)
        films = Instance.objects.filter(NOT_REJECTED, study__in=held, status=Status.ANALYSED).order_by("pk")
        for film in films:
            reads = held[film.study_id]
            file = film_path(site, film.file_sha256).relative_to(_root(site)).as_posix()
            if reads.labels and file not in frozen:
                frozen[file] = reads
                yield _row(film, file, reads, chances.get(film.study_id))


def _row(film: Instance, file: str, reads: StudyReads, chance: float | None) -> Row:
    study, patient = reads.study, patient_key(reads.study)
    row: Row = {
        "file": file, "patient_id": patient, "split": part_of(patient), "sex": study.PatientSex,
        "age": study.PatientAge, "view": film.ViewPosition, "synthetic": int(study.synthetic),
        "selection_probability": 1.0 if study.raised else chance or "",
    }  # fmt: skip
    for label, said in reads.labels.items():
        row |= {
            label: int(said.present), f"{label} read by": f"user:{said.reader}",
            f"{label} read at": said.at.isoformat(), f"{label} adjudicated": int(said.adjudicated),
        }  # fmt: skip
    return row


def _chances(held: dict[int, StudyReads]) -> dict[int, float]:
    drawn = Draw.objects.filter(study__in=held, purpose=Purpose.SAMPLE)
    return {one.study_id: one.probability for one in drawn if one.chosen}


def patient_key(study: Study) -> str:
    """The same for all studies of a patient and nobody's number; a study without one stands alone."""
    whose = (study.IssuerOfPatientID, study.PatientID) if study.PatientID else ("", study.StudyInstanceUID)
    return hashlib.sha256("\0".join((study.site.slug, *whose)).encode()).hexdigest()[:16]


def part_of(patient: str) -> str:
    """train, val or test by the patient alone: no later dataset can teach on what tested an earlier model."""
    place = int(hashlib.sha256(f"part {patient}".encode()).hexdigest()[:8], 16) / 2**32
    return next((part for below, part in PARTS if place < below), "train")


def _write(table: Path, rows: list[Row], findings: list[str]) -> None:
    columns = [*ABOUT, *findings, *(f"{label} {word}" for label in findings for word in OF_LABEL)]
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)


def _root(site: Site) -> Path:
    return film_path(site, "00").parent.parent


def _kept(folder: Path) -> list[str]:
    """The files that could be read and are in the dataset."""
    import pandas as pd

    return list(pd.read_parquet(folder / "films.parquet", columns=["file"])["file"])
