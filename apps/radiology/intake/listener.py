"""The DICOM listener: C-ECHO for anyone known, C-STORE into the one way in."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError, close_old_connections
from pydicom.uid import UID, AllTransferSyntaxes
from pynetdicom import AE, AllStoragePresentationContexts, _config, evt

from apps.core.storage import storage_is_low
from apps.radiology.common.selectors import node_titled
from apps.radiology.common.services.senders import node_sender
from apps.radiology.common.store import incoming
from apps.radiology.intake.services.ingest import ingest_instance
from ml.radiology.contracts import DicomRefused

log = structlog.get_logger(__name__)
VERIFICATION = UID("1.2.840.10008.1.1")
# PS3.4 table B.2-1 and PS3.7 annex C.
SUCCESS, DUPLICATE, UNKNOWN_NODE = 0x0000, 0x0111, 0x0124
REFUSED, NO_MATCH, CANNOT_UNDERSTAND = 0xA700, 0xA900, 0xC000
ASSOCIATIONS_MAX = 20
PDU_BYTES = 128 * 1024  # the most that DCMTK sends: each piece costs us the same
LAST_SHARE = 0.5  # of the room that has to be left
FILE_META_BYTES = 1024  # the listener writes them, no sender
STATUS_OF = {"instance_conflict": DUPLICATE, "patient_mismatch": NO_MATCH}


def start_listener() -> Any:
    """Listen on the configured port, in threads of its own; returns the server."""
    # Written to a file as it arrives: an instance's size never is the process's memory.
    _config.STORE_RECV_CHUNKED_DATASET = True
    _config.LOG_HANDLER_LEVEL = "none"  # identifiers would be logged
    entity = AE(ae_title=settings.LYNCEUS_DICOM_AET)
    entity.require_called_aet = True
    entity.maximum_associations = ASSOCIATIONS_MAX
    entity.maximum_pdu_size = PDU_BYTES
    entity.acse_timeout = entity.dimse_timeout = 30
    entity.network_timeout = 60
    entity.add_supported_context(VERIFICATION)
    # More than 128 contexts may be supported; an association itself negotiates at most 128 of them.
    for context in AllStoragePresentationContexts:
        entity.add_supported_context(str(context.abstract_syntax), AllTransferSyntaxes)
    handlers: list[Any] = [(evt.EVT_C_STORE, on_store), (evt.EVT_REQUESTED, on_requested)]
    handlers += [(evt.EVT_PDU_RECV, on_pdu), (evt.EVT_CONN_CLOSE, on_close)]
    address = (settings.LYNCEUS_DICOM_HOST, settings.LYNCEUS_DICOM_PORT)
    server: Any = entity.start_server(address, block=False, evt_handlers=handlers)
    server.contexts = _Shared(server.contexts)
    return server


class _Shared(list[Any]):
    """What we support, the same for all associations: pynetdicom copies all of it for each, which takes as
    long as to receive a film. Negotiation only reads it."""

    def __deepcopy__(self, memo: Any) -> _Shared:
        return self


def on_requested(event: Any) -> None:
    """Turn away an association whose calling AE title nobody entered."""
    close_old_connections()
    try:
        known = node_titled(_calling(event)) is not None
    except DatabaseError:
        # Rejected-transient, service provider (presentation), temporary congestion: try again later.
        _reject(event, 0x02, 0x03, 0x01)
        return
    finally:
        close_old_connections()
    if not known:
        log.warning("unknown_dicom_node")
        # Rejected-permanent, service user, calling AE title not recognised (PS3.8 9.3.4).
        _reject(event, 0x01, 0x01, 0x03)


def _reject(event: Any, result: int, source: int, diagnostic: int) -> None:
    event.assoc.acse.send_reject(result, source, diagnostic)
    event.assoc.kill()  # waits until it is sent: the connection is shut as soon as this returns


def on_pdu(event: Any) -> None:
    """Hang up on a sender whose instance outgrows what a file may have, or the last of the disk: it would
    go on to fill it. Where the disk is only low it hears 0xA700 at the end."""
    path = _half_received(event)
    if path is None or not path.exists():
        return
    allowed = settings.LYNCEUS_DICOM_FILE_MAX_MB * 1024**2 + FILE_META_BYTES
    if path.stat().st_size > allowed or storage_is_low(LAST_SHARE):
        log.warning("c_store_hung_up", bytes=path.stat().st_size)
        path.unlink(missing_ok=True)
        event.assoc.abort(block=False)


def on_close(event: Any) -> None:
    """Nobody else removes what a sender left half sent."""
    if path := _half_received(event):
        path.unlink(missing_ok=True)


def _half_received(event: Any) -> Path | None:
    """The file the instance under way is written to; pynetdicom keeps it under no public name."""
    message = event.assoc.dimse.message
    return None if message is None else message._data_set_path


def on_store(event: Any) -> int:
    """0x0000 only after the instance is on disk and in the database."""
    close_old_connections()
    try:
        node = node_titled(_calling(event))
        if node is None:
            return UNKNOWN_NODE
        with incoming() as path:
            shutil.move(event.dataset_path, path)
            ingest_instance(path, sender=node_sender(node, _originator(event)))
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


def _originator(event: Any) -> str:
    return str(event.request.MoveOriginatorApplicationEntityTitle or "").strip()


def _calling(event: Any) -> str:
    # From the request itself: the association takes its title over only once it negotiates.
    return str(event.assoc.requestor.primitive.calling_ae_title).strip()
