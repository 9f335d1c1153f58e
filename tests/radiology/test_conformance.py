"""docs/conformance.md against what the listener and the clients really offer."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from pydicom.uid import UID, AllTransferSyntaxes
from pynetdicom import AE

from apps.radiology.documents.services.results import CLASS_OF
from apps.radiology.exchange import scu
from apps.radiology.intake import listener
from apps.radiology.intake.listener import start_listener
from apps.radiology.models import DOCUMENT_CLASS
from ml.radiology.parsing import _check_readable

PAGE = (Path(__file__).resolve().parents[2] / "docs/conformance.md").read_text()


def table(heading: str, *, first: str = "") -> list[list[str]]:
    """The rows below a heading, of the table whose head begins with `first`."""
    part = PAGE.split(f"{heading}\n", 1)[1]
    part = re.split(r"\n#{2,3} ", part)[0]
    tables = re.findall(r"(?:^\|.*\n)+", part, re.M)
    chosen = next(rows for rows in tables if rows.startswith(f"| {first}"))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in chosen.splitlines()[2:]]


@pytest.fixture
def server(settings) -> Any:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        settings.LYNCEUS_DICOM_PORT = free.getsockname()[1]
    started = start_listener()
    yield started
    started.shutdown()


def test_the_storage_classes_are_those_the_listener_supports(server) -> None:
    supported = {str(one.abstract_syntax) for one in server.contexts} - {str(listener.VERIFICATION)}
    told = {uid: name for uid, name in table("### Annex A: Storage SOP classes")}
    assert set(told) == supported
    assert told == {uid: UID(uid).name for uid in supported}


def readable(uid: str) -> str:
    try:
        _check_readable(uid)
    except Exception:
        return "refused"
    return "read"


def test_the_transfer_syntaxes_are_those_the_listener_supports(server) -> None:
    storage = [one for one in server.contexts if one.abstract_syntax != listener.VERIFICATION]
    supported = {str(uid) for one in storage for uid in one.transfer_syntax}
    rows = table("### Annex B: transfer syntaxes")
    assert {uid for _, uid, _ in rows} == supported == set(AllTransferSyntaxes)
    assert [(uid, said) for _, uid, said in rows if said != readable(uid)] == []


def test_the_listener_is_as_described(server) -> None:
    rows = dict(table("### 3.2 STORAGE-SCP", first="What"))
    assert rows["AE title"] == f"`{settings.LYNCEUS_DICOM_AET}` (`LYNCEUS_DICOM_AET`)"
    assert rows["Port"] == "11112 (`LYNCEUS_DICOM_PORT`)"
    assert (
        rows["Associations at once"] == str(listener.ASSOCIATIONS_MAX) == str(server.ae.maximum_associations)
    )
    assert rows["Maximum PDU"] == f"{listener.PDU_BYTES} bytes"
    assert server.ae.require_called_aet
    told = {row[0] for row in table("### 3.2 STORAGE-SCP", first="Status")}
    names = ("SUCCESS", "DUPLICATE", "UNKNOWN_NODE", "REFUSED", "NO_MATCH", "CANNOT_UNDERSTAND")
    assert told == {f"0x{getattr(listener, name):04X}" for name in names}


def test_what_is_not_offered_is_refused(server) -> None:
    """No commitment, no query, no worklist: over a real association."""
    offered = {str(one.abstract_syntax) for one in server.contexts}
    for uid in ("1.2.840.10008.1.20.1", str(scu.FIND), str(scu.MOVE), "1.2.840.10008.5.1.4.31"):
        assert uid not in offered
    services = {row[0]: row[1:] for row in table("## 1. Overview")}
    assert services["Storage Commitment"] == services["Modality Worklist"] == ["no", "no"]
    assert "gives no storage commitment" in PAGE


def test_the_clients_ask_for_what_is_told(monkeypatch) -> None:
    asked = []

    class Told(AE):
        def associate(self, *args: Any, **kwargs: Any) -> Any:
            asked.extend(str(one.abstract_syntax) for one in self.requested_contexts)
            return super().associate(*args, **kwargs)

    monkeypatch.setattr(scu, "AE", Told)
    nobody: Any = type("Peer", (), {"AETitle": "GONE", "host": "127.0.0.1", "port": 9})()
    for ask in (
        lambda: scu.echo(nobody),
        lambda: scu.find(nobody, "STUDY", {"PatientID": ""}),
        lambda: scu.move(nobody, "STUDY", {}, until=0, enough=lambda: False),
    ):
        with pytest.raises(scu.PeerFailed):
            ask()
    rows = table("### 3.3 PEER-SCU and RECONCILE-SCU", first="SOP class")
    assert [(name, uid, "SCU") for name, uid in ((UID(uid).name, uid) for uid in asked)] == [
        (name, uid, role) for name, uid, role in rows
    ]


def test_what_is_made_is_told() -> None:
    made = [*CLASS_OF.values(), *DOCUMENT_CLASS.values()]
    assert [uid for _, uid, _ in table("## 4. What is made")] == [str(uid) for uid in made]
