"""The DICOM listener: C-ECHO for anyone known, C-STORE into the one way in."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError, close_old_connections
from pydicom.uid import AllTransferSyntaxes
from pynetdicom import AE, AllStoragePresentationContexts, _config, evt
from pynetdicom.sop_class import Verification

from apps.radiology.selectors import node_titled
from apps.radiology.services.ingest import ingest_instance
from apps.radiology.store import incoming
from ml.radiology.contracts import DicomRefused

log = structlog.get_logger(__name__)
# PS3.4 table B.2-1 and PS3.7 annex C.
SUCCESS, DUPLICATE, REFUSED, NO_MATCH, CANNOT_UNDERSTAND, UNKNOWN_NODE = (
    0x0000,
    0x0111,
    0xA700,
    0xA900,
    0xC000,
    0x0124,
)
ASSOCIATIONS_MAX = 20
STATUS_OF = {"instance_conflict": DUPLICATE, "patient_mismatch": NO_MATCH}


def start_listener(*, block: bool) -> Any:
    """Listen on the configured port; returns the server if not blocking."""
    # Written to a file as it arrives: an instance's size never is the process's memory.
    _config.STORE_RECV_CHUNKED_DATASET = True
    _config.LOG_HANDLER_LEVEL = "none"  # identifiers would be logged
    entity = AE(ae_title=settings.LYNCEUS_DICOM_AET)
    entity.require_called_aet = True
    entity.maximum_associations = ASSOCIATIONS_MAX
    entity.acse_timeout = entity.dimse_timeout = 30
    entity.network_timeout = 60
    entity.add_supported_context(Verification)
    # More than 128 contexts may be supported; an association itself negotiates at most 128 of them.
    for context in AllStoragePresentationContexts:
        entity.add_supported_context(context.abstract_syntax, AllTransferSyntaxes)
    handlers = [(evt.EVT_C_STORE, on_store), (evt.EVT_REQUESTED, on_requested)]
    address = (settings.LYNCEUS_DICOM_HOST, settings.LYNCEUS_DICOM_PORT)
    return entity.start_server(address, block=block, evt_handlers=handlers)


def on_requested(event: Any) -> None:
    """Turn away an association whose calling AE title nobody entered."""
    close_old_connections()
    if node_titled(_calling(event)) is None:
        log.warning("unknown_dicom_node")
        # Rejected-permanent, service user, calling AE title not recognised (PS3.8 9.3.4).
        event.assoc.acse.send_reject(0x01, 0x01, 0x03)
        event.assoc.kill()


def on_store(event: Any) -> int:
    """0x0000 only after the instance is on disk and in the database."""
    close_old_connections()
    try:
        node = node_titled(_calling(event))
        if node is None:
            return UNKNOWN_NODE
        with incoming() as path:
            shutil.copyfile(event.dataset_path, path)
            ingest_instance(path, site=node.site, actor=None, origin="c-store")
        return SUCCESS
    except DicomRefused as error:
        log.info("c_store_refused", code=error.code)
        return STATUS_OF.get(error.code, CANNOT_UNDERSTAND)
    except (DatabaseError, OSError) as error:
        log.error("c_store_failed", error=type(error).__name__)
        return REFUSED
    finally:
        Path(event.dataset_path).unlink(missing_ok=True)
        close_old_connections()


def _calling(event: Any) -> str:
    # The association itself learns the title only after EVT_REQUESTED.
    return str(event.assoc.requestor.primitive.calling_ae_title).strip()
