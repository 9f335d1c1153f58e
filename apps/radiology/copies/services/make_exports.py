"""Make de-identified copies: look which films may show text, then write the others into one tar."""

from __future__ import annotations

import csv
import io
import json
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import structlog
from django.db import transaction
from django.utils.crypto import salted_hmac

from apps.audit.services import record
from apps.core.clock import now
from apps.core.storage import storage_is_low
from apps.radiology.common.limits import file_limits
from apps.radiology.common.store import film_path
from apps.radiology.copies.exports import archive_path, films_of, labels_of
from apps.radiology.models import Export, ExportFilm, ExportState, FilmState, Instance
from ml.radiology.contracts import DicomRefused
from ml.radiology.deidentify import METHOD, deidentify, text_risk
from ml.radiology.dicom import gate, read_header
from ml.radiology.pseudonyms import Pseudonyms

log = structlog.get_logger(__name__)
LEASE = timedelta(hours=1)
SALT = "lynceus.deidentify"


def make_due_exports() -> None:
    """One after the other. What is wrong with one does not keep the next from being made."""
    while (export := _claim()) is not None:
        try:
            make_export(export)
        except Exception as error:
            log.exception("export_failed", export=export.pk, error=type(error).__name__)
            fault = f"It could not be made: {type(error).__name__}."
            Export.objects.filter(pk=export.pk).update(state=ExportState.FAILED, fault=fault)


@transaction.atomic
def _claim() -> Export | None:
    due = Export.objects.filter(state=ExportState.WAITING, due_at__lte=now()).order_by("due_at")
    export = due.select_for_update(of=("self",), skip_locked=True).select_related("site").first()
    if export is not None:
        export.due_at = now() + LEASE
        export.save(update_fields=["due_at"])
    return export


def make_export(export: Export) -> None:
    """Ready, or held for a person where a film may show text."""
    for film in films_of(export).filter(state=FilmState.WAITING):
        _look(film)
    if export.films.filter(state=FilmState.HELD).exists():
        Export.objects.filter(pk=export.pk).update(state=ExportState.HELD)
        return
    if storage_is_low():
        raise OSError("the storage is nearly full")
    target = archive_path(export)
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as file:
        written = Path(file.name)
    try:
        changes, films = _write(export, written)
        written.replace(target)
    finally:
        written.unlink(missing_ok=True)
    _ready(export, changes, films, target.stat().st_size)


@transaction.atomic
def _ready(export: Export, changes: Counter[tuple[str, str]], films: int, size: int) -> None:
    export.report = _report(changes)
    export.state, export.made_at, export.file_bytes = ExportState.READY, now(), size
    export.save(update_fields=["report", "state", "made_at", "file_bytes"])
    detail = {"films": films, "project": export.project}
    subject = f"export:{export.pk}"
    record("export.made", site=export.site, actor=export.asked_by, subject=subject, detail=detail)


def _look(film: ExportFilm) -> None:
    """A film that may show text waits for a person; one that cannot be read is left out."""
    instance = film.instance
    try:
        film.reason = text_risk(film_path(instance.site, instance.file_sha256), file_limits())
        film.state = FilmState.HELD if film.reason else FilmState.CLEAN
    except DicomRefused as error:
        film.state, film.reason = FilmState.LEFT_OUT, error.message
    film.save(update_fields=["state", "reason"])


def _write(export: Export, target: Path) -> tuple[Counter[tuple[str, str]], int]:
    changes: Counter[tuple[str, str]] = Counter()
    rows = []
    with tarfile.open(target, "w") as archive:
        for film, name, pseudonyms, done in _deidentified(export, archive):
            changes += done
            rows.append((film.instance, name, pseudonyms))
        left_out = export.films.filter(state=FilmState.LEFT_OUT).count()
        about = {"method": METHOD, "films": len(rows), "left_out": left_out, "changes": _report(changes)}
        _add(archive, "report.json", json.dumps(about, indent=1).encode())
        if export.labels:
            _add(archive, "labels.csv", _labels(export.labels, rows).encode())
    return changes, len(rows)


def _deidentified(
    export: Export, archive: tarfile.TarFile
) -> Iterator[tuple[ExportFilm, str, Pseudonyms, Counter[tuple[str, str]]]]:
    """Each film that is clean and still in use, once it lies in the archive."""
    clean = films_of(export).filter(state=FilmState.CLEAN, instance__rejected_by=None)
    for film in clean.iterator(chunk_size=50):
        study = film.instance.study
        pseudonyms = Pseudonyms(_key(export), f"{study.PatientID}\0{study.IssuerOfPatientID}")
        path = film_path(film.instance.site, film.instance.file_sha256)
        try:
            done = deidentify(path, file_limits(), pseudonyms)
        except DicomRefused as error:
            film.state, film.reason = FilmState.LEFT_OUT, error.message
            film.save(update_fields=["state", "reason"])
            continue
        name = f"films/{pseudonyms.patient_id}/{done.SOPInstanceUID}.dcm"
        _add(archive, name, done.content())
        yield film, name, pseudonyms, done.changes


def _key(export: Export) -> bytes:
    """Of the project, from LYNCEUS_SECRET_KEY: nothing that leads back is stored."""
    return salted_hmac(SALT, f"{export.site_id}:{export.project}", algorithm="sha256").digest()


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    """Without owner and time: those would be traces of this machine."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), 0o600
    archive.addfile(info, io.BytesIO(content))


def _labels(labels: list[str], rows: list[tuple[Instance, str, Pseudonyms]]) -> str:
    """As `manage.py import_images` reads them, of the films that the model may judge."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["file", "patient_id", "view", *labels])
    said: dict[int, dict[str, str]] = {}
    for instance, name, pseudonyms in rows:
        header = read_header(film_path(instance.site, instance.file_sha256), file_limits())
        if gate(header).accepted:
            study = instance.study
            if study.pk not in said:
                said[study.pk] = labels_of(study)
            marks = said[study.pk]
            view = instance.ViewPosition if instance.ViewPosition in ("PA", "AP") else ""
            table.writerow([name, pseudonyms.patient_id, view, *(marks.get(one, "") for one in labels)])
    return out.getvalue()


def _report(changes: Counter[tuple[str, str]]) -> list[dict[str, object]]:
    return [
        {"attribute": name, "done": done, "count": count} for (name, done), count in sorted(changes.items())
    ]
