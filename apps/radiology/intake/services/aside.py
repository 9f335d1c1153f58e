"""Other pixels under a known SOPInstanceUID: kept where nothing analyses or serves them."""

from __future__ import annotations

from django.db import transaction

from apps.accounts.models import User
from apps.audit.services import record
from apps.core.clock import now
from apps.radiology.common.decoding import decode_apart
from apps.radiology.common.headers import as_json
from apps.radiology.common.services.senders import Sender
from apps.radiology.common.store import aside_path, flush, keep, write_beside
from apps.radiology.intake.received import InstanceConflict, Received
from apps.radiology.models import Instance, KeptAside
from apps.radiology.studies.services.studies import touch
from ml.radiology.contracts import DicomRefused

ASIDE_MAX = 20  # for one instance: a sender that makes its pixels anew each time must not fill the disk


def keep_aside(known: Instance, file: Received, sender: Sender) -> None:
    """Raises DicomRefused where too many lie there already."""
    if known.kept_aside.count() >= ASIDE_MAX:
        raise InstanceConflict(file.header, "Other images were sent under this SOPInstanceUID too often.")
    try:
        picture = decode_apart(file.path).picture
    except DicomRefused:
        picture = b""
    flush(file.path)
    with transaction.atomic():
        touch(known.study_id)
        _, made = KeptAside.objects.get_or_create(
            instance=known,
            content_sha256=file.content_sha256,
            defaults={
                "site": known.site,
                "header": as_json(file.header),
                "file_sha256": file.file_sha256,
                "file_bytes": file.size,
                "has_picture": bool(picture),
                "sender": sender.name,
                "received_at": now(),
            },
        )
        if not made:
            return
        record(
            "instance.kept_aside",
            site=known.site,
            actor=sender.actor,
            subject=f"instance:{known.pk}",
            detail={"origin": sender.origin, "sender": sender.name},
        )
        target = aside_path(known.site, file.file_sha256)
        if picture:
            write_beside(target, picture)
        keep(file.path, target)


@transaction.atomic
def settle_aside(aside: KeptAside, *, by: User) -> None:
    """A person has seen it: the stored film stays the film. Once is enough."""
    touch(aside.instance.study_id)
    if KeptAside.objects.filter(pk=aside.pk, settled_at=None).update(settled_at=now(), settled_by=by):
        record("aside.settled", site=aside.site, actor=by, subject=f"instance:{aside.instance_id}")
