"""Freeze what readers said into a dataset as `import_images` makes them, and remember which read is in it."""

from __future__ import annotations

import csv
import hashlib
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from django.db import transaction

from apps.accounts.models import Site, User
from apps.audit.services import Actor
from apps.core.clock import now
from apps.modelops.datasets.services.datasets import check_unchanged, new_dataset_folder, told_of_base
from apps.modelops.models import DatasetSnapshot
from apps.radiology.common.store import film_path
from apps.radiology.lifecycle.services.datasets import dealing_of, register_films
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
from apps.radiology.studies.changes import rejected_uids
from apps.radiology.studies.read_labels import StudyReads, reads_of_studies
from ml.radiology.reader_labels import WORDS, Label, told_of_weights, weight_of
from ml.radiology.splits import part_of

CHUNK = 500
ALL = frozenset({"signed", "preliminary", "synthetic"})
ABOUT = (
    "file", "patient_id", "split", "sex", "age", "view", "modality", "manufacturer", "synthetic",
    "selection_probability",
)  # fmt: skip
OF_LABEL = ("read by", "read at", "adjudicated")
Row = dict[str, Any]


def export_reads(
    site: Site, name: str, includes: frozenset[str], by: User, tell: Callable[[int, int], None],
    base: DatasetSnapshot | None = None,
) -> DatasetSnapshot:  # fmt: skip
    """As the form on the models page asks. Raises as `freeze_reads`."""
    return freeze_reads(site, name, actor=by, tell=tell, includes=includes, base=base)


def freeze_reads(
    site: Site, name: str, *, actor: Actor = None, tell: Callable[[int, int], None] | None = None,
    includes: frozenset[str] = ALL, base: DatasetSnapshot | None = None,
) -> DatasetSnapshot:  # fmt: skip
    """Every label of the site's reads, with the films it is of; a patient is in one part of all of them.

    `includes`: signed, preliminary (reads), synthetic (studies); what is not named is left out. `base`: an
    imported dataset whose films come too. Raises LynceusError for a bad or taken name, ValueError where no
    read has a label yet.
    """
    from ml.radiology.importing import freeze_images

    folder, dealing = new_dataset_folder(site, "radiology", name), dealing_of(site)
    frozen: dict[str, StudyReads] = {}
    as_of = now()
    without: Counter[str] = Counter()
    rows = list(_rows(site, frozen, dealing.key, includes, without))
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
            films, table, findings, folder, name, dealing=dealing, rejected=rejected_uids(site),
            weights=weights, tell=tell, provenance=_provenance(frozen.values()) | told_of_base(base),
            base=check_unchanged(base) if base else None,
        )  # fmt: skip
    files = [file for file in _kept(folder) if file in frozen]
    with transaction.atomic():
        snapshot = register_films(
            site=site, name=name, folder=folder, made=made, dealing=dealing, actor=actor,
            more={
                "from": "reads", "as_of": as_of.isoformat(), "included": sorted(includes),
                "reads left out": dict(without),
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


def _rows(
    site: Site, frozen: dict[str, StudyReads], key: bytes, includes: frozenset[str], without: Counter[str]
) -> Iterator[Row]:
    """One a film; `frozen` learns whose reads each file stands for, `without` how many teach nothing why."""
    read = Study.objects.filter(site=site, withdrawn=False, reads__committed_at__isnull=False)
    if "synthetic" not in includes:
        read = read.filter(synthetic=False)
    keys = sorted(set(read.values_list("pk", flat=True)))
    for start in range(0, len(keys), CHUNK):
        held = reads_of_studies(keys[start : start + CHUNK])
        for study in held.values():
            study.reads = [one for one in study.reads if _is_included(one.read, includes)]
            without.update(WORDS[why] for one in study.reads if (why := one.why_not) is not None)
        chances = _chances(held)
        films = Instance.objects.filter(NOT_REJECTED, study__in=held, status=Status.ANALYSED).order_by("pk")
        for film in films:
            reads = held[film.study_id]
            file = film_path(site, film.file_sha256).relative_to(_root(site)).as_posix()
            if reads.labels and file not in frozen:
                frozen[file] = reads
                yield _row(film, file, reads, chances.get(film.study_id), key)


def _provenance(frozen: Iterable[StudyReads]) -> dict[str, Any]:
    """Whose word the labels are, of how many people, and when the first and the last was said."""
    said = [label for held in {id(one): one for one in frozen}.values() for label in held.labels.values()]
    times = sorted(label.at for label in said)
    return {
        "source": "blind reads", "labels": len(said), "adjudicated": sum(label.adjudicated for label in said),
        "authors": len({label.reader for label in said}),
        "known from": f"{times[0]:%Y-%m-%d}", "known to": f"{times[-1]:%Y-%m-%d}",
    }  # fmt: skip


def _is_included(read: Read, includes: frozenset[str]) -> bool:
    return ("signed" if read.is_signed else "preliminary") in includes


def _row(film: Instance, file: str, reads: StudyReads, chance: float | None, key: bytes) -> Row:
    study, patient = reads.study, patient_key(reads.study)
    row: Row = {
        "file": file, "patient_id": patient, "split": part_of(who_of(study), key), "sex": study.PatientSex,
        "age": study.PatientAge, "view": film.ViewPosition, "modality": film.Modality,
        "manufacturer": film.Manufacturer, "synthetic": int(study.synthetic),
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


def who_of(study: Study) -> str:
    """By what a patient is dealt: the number, as in a table of imported films."""
    return study.PatientID or study.StudyInstanceUID


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
