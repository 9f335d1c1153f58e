"""One of each thing of a site that the radiology doors name."""

from __future__ import annotations

import io

from PIL import Image

from apps.accounts.models import Site, User
from apps.core.clock import now
from apps.modelops.models import (
    ModelVersion,
)
from apps.radiology.common.headers import as_json
from apps.radiology.common.store import aside_path, film_path, write_picture
from apps.radiology.copies.exports import archive_path
from apps.radiology.documents.results import basis_of
from apps.radiology.models import (
    Analysis,
    Correction,
    Destination,
    Dispatch,
    Export,
    ExportState,
    Exposure,
    Finding,
    Instance,
    KeptAside,
    PatientMerge,
    PieceUpload,
    Read,
    ReadState,
    RejectionNote,
    ReportDocument,
    Result,
    ResultKind,
    Study,
)
from ml.radiology.contracts import InstanceHeader
from tests.radiology.conftest import film_file


def _picture() -> bytes:
    file = io.BytesIO()
    Image.new("L", (8, 8)).save(file, "PNG")
    return file.getvalue()


def film(site: Site) -> tuple[Study, Instance]:
    uid, sha256 = f"1.2.3.{site.pk}", f"{site.pk:064d}"
    study = Study.objects.create(site=site, StudyInstanceUID=uid, received_at=now(), changed_at=now())
    write_picture(site, sha256, _picture())
    film_path(site, sha256).write_bytes(b"a film")
    instance = Instance.objects.create(
        study=study, site=site, SOPInstanceUID=f"{uid}.1", SOPClassUID="1.2", SeriesInstanceUID=f"{uid}.0",
        TransferSyntaxUID="1.2.840.10008.1.2.1", Rows=8, Columns=8, file_sha256=sha256, content_sha256=sha256,
        file_bytes=6, has_picture=True, origin="stow", received_at=now(),
    )  # fmt: skip
    return study, instance


def called(instance: Instance, version: ModelVersion) -> None:
    analysis = Analysis.objects.create(instance=instance, version=version, pixel_sha256="", at=now())
    Finding.objects.create(
        analysis=analysis,
        label="Effusion",
        probability=0.9,
        operating_point=0.5,
        positive=True,
        attention=b"png",
    )


def correction(instance: Instance) -> Correction:
    uid = instance.study.StudyInstanceUID
    header = InstanceHeader(
        instance.SOPInstanceUID, "1.2", uid, f"{uid}.0", instance.TransferSyntaxUID, Rows=8
    )
    sha256 = f"{instance.site_id + 1000:064d}"
    header_json = as_json(header)
    return Correction.objects.create(
        site=instance.site, instance=instance, before=header_json, after={**header_json, "PatientID": "1"},
        changes_identity=True, before_sha256=instance.file_sha256, after_sha256=sha256, after_bytes=6,
        before_content_sha256=instance.content_sha256, after_content_sha256=sha256, sender="x",
        received_at=now(),
    )  # fmt: skip


def rejection(site: Site) -> RejectionNote:
    return RejectionNote.objects.create(
        site=site, SOPInstanceUID=f"1.2.4.{site.pk}", code="113001", file_sha256="", content_sha256="",
        sender="x", received_at=now(),
    )  # fmt: skip


def merge(site: Site, by: User) -> PatientMerge:
    return PatientMerge.objects.create(
        site=site, from_patient="1", into_patient="2", note="x", at=now(), by=by
    )


def upload(user: User) -> PieceUpload:
    return PieceUpload.objects.create(site=user.site, user=user, name="x", size=1, touched_at=now())


def signed(study: Study, reader: User) -> Read:
    return Read.objects.create(
        study=study, reader=reader, state=ReadState.FINAL, ai_exposure=Exposure.NONE, text="x",
        opened_at=now(), committed_at=now(), signed_at=now(),
    )  # fmt: skip


def dispatch(read: Read) -> Dispatch:
    """Of its report, which is made, and waits."""
    site = read.study.site
    uid, sha256 = f"1.2.6.{site.pk}", f"{site.pk + 3000:064d}"
    path = film_path(site, sha256)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"a report")
    document = ReportDocument.objects.create(
        site=site, study=read.study, read=read, kind="sr", number=1, SOPClassUID="1.2",
        SOPInstanceUID=uid, SeriesInstanceUID=f"{uid}.0",
        file_sha256=sha256, due_at=now(),
    )  # fmt: skip
    to = Destination.objects.create(site=site, name="PACS", AETitle="PACS", host="pacs.invalid", port=104)
    return Dispatch.objects.create(destination=to, document=document, created_at=now(), due_at=now())


def result(study: Study) -> Result:
    uid, sha256 = f"1.2.5.{study.site_id}", f"{study.site_id + 2000:064d}"
    path = film_path(study.site, sha256)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"a report")
    return Result.objects.create(
        site=study.site, study=study, kind=ResultKind.REPORT, SOPClassUID="1.2", SOPInstanceUID=uid,
        SeriesInstanceUID=f"{uid}.0", TransferSyntaxUID="1.2.840.10008.1.2.1", file_sha256=sha256,
        file_bytes=8, basis=basis_of(study), made_at=now(),
    )  # fmt: skip


def export(site: Site) -> Export:
    export = Export.objects.create(
        site=site, project="x", state=ExportState.READY, asked_at=now(), due_at=now(), made_at=now()
    )
    archive_path(export).parent.mkdir(parents=True)
    archive_path(export).write_bytes(b"a tar")
    return export


def aside(instance: Instance) -> KeptAside:
    film_path(instance.site, instance.file_sha256).write_bytes(film_file())
    path = aside_path(instance.site, instance.file_sha256)
    path.parent.mkdir()
    path.with_suffix(".png").write_bytes(b"a picture")
    return KeptAside.objects.create(
        site=instance.site, instance=instance, header={}, file_sha256=instance.file_sha256, file_bytes=6,
        content_sha256=f"{instance.site_id:064d}", has_picture=True, sender="x", received_at=now(),
    )  # fmt: skip
