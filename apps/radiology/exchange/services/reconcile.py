"""Compare one day's studies here with a PACS, instance by instance: equal numbers may hide other films."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from apps.audit.services import record
from apps.radiology.exchange.scu import Row, find, move
from apps.radiology.models import DicomPeer, Instance, Result, Study

UIDS_AT_ONCE = 50
FETCH_S = 600.0
STUDY_KEYS = ("StudyInstanceUID", "AccessionNumber", "ModalitiesInStudy")


@dataclass(frozen=True, slots=True)
class Difference:
    """One study. `what`: missing_here (all of it), incomplete_here, or missing_there. `here` and `there` are
    numbers of instances, `missing` the SOPInstanceUIDs that are there and not here."""

    what: str
    StudyInstanceUID: str
    AccessionNumber: str
    here: int
    there: int
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    peer: str
    date: str
    same: int
    differences: tuple[Difference, ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def compare(peer: DicomPeer, date: str) -> Comparison:
    """The studies of that day (DA), by the PACS or by us, of the modalities the peer is asked for.

    Raises PeerFailed.
    """
    there = {row["StudyInstanceUID"]: row for row in _listed(peer, {"StudyDate": date})}
    dated = Study.objects.filter(site=peer.site_id, StudyDate=date, withdrawn=False)
    ours = {study.StudyInstanceUID: study for study in dated}
    # One that was corrected may have another date on the other side.
    elsewhere = Study.objects.filter(site=peer.site_id, StudyInstanceUID__in=set(there) - set(ours))
    here = {**ours, **{study.StudyInstanceUID: study for study in elsewhere}}
    for uids in _chunks(sorted(set(ours) - set(there))):
        for row in find(peer, "STUDY", _keys({"StudyInstanceUID": "\\".join(uids)})):
            there[row["StudyInstanceUID"]] = row
    found, same = [], 0
    for uid in sorted(set(there) | set(here)):
        difference = _difference(peer, uid, here.get(uid), there.get(uid))
        if difference is None:
            same += 1
        else:
            found.append(difference)
    record(
        "pacs.compared", site=peer.site, actor=None,
        detail={"peer": peer.AETitle, "date": date, "same": same, "different": len(found)},
    )  # fmt: skip
    return Comparison(peer.AETitle, date, same, tuple(found))


def fetch_missing(peer: DicomPeer, comparison: Comparison) -> int:
    """C-MOVE to us what is missing here, study by study; how many instances the PACS says it sent.

    Raises PeerFailed.
    """
    until, sent = time.monotonic() + FETCH_S, 0
    for one in comparison.differences:
        if one.missing and time.monotonic() < until:
            asked = {"StudyInstanceUID": one.StudyInstanceUID}
            sent += move(peer, "STUDY", asked, until=until, enough=lambda: False).completed
    return sent


def _keys(asked: Row) -> Row:
    return {**dict.fromkeys(STUDY_KEYS, ""), **asked}


def _listed(peer: DicomPeer, asked: Row) -> Iterator[Row]:
    for row in find(peer, "STUDY", _keys(asked)):
        modalities = set(row["ModalitiesInStudy"].upper().split("\\")) - {""}
        if row["StudyInstanceUID"] and (not modalities or modalities & peer.wanted_modalities):
            yield row


def _difference(peer: DicomPeer, uid: str, ours: Study | None, theirs: Row | None) -> Difference | None:
    if theirs is None and ours is not None:
        films = ours.instances.filter(rejected_by=None).count()
        return Difference("missing_there", uid, ours.AccessionNumber, films, 0)
    held = _held(peer, uid)
    images = _images(peer, uid)
    missing = tuple(sorted(images - held))
    if not missing:
        return None
    what = "incomplete_here" if ours else "missing_here"
    accession = theirs["AccessionNumber"] if theirs else ""
    return Difference(what, uid, accession, len(images) - len(missing), len(images), missing)


def _held(peer: DicomPeer, uid: str) -> set[str]:
    """All that came or was made here of it, in use or not."""
    mine = {"site": peer.site_id, "study__StudyInstanceUID": uid}
    films = Instance.objects.filter(**mine).values_list("SOPInstanceUID", flat=True)
    return {*films, *Result.objects.filter(**mine).values_list("SOPInstanceUID", flat=True)}


def _images(peer: DicomPeer, uid: str) -> set[str]:
    """The SOPInstanceUIDs there of modalities that are taken here: a report or a state is none of them."""
    found: set[str] = set()
    for series in find(peer, "SERIES", {"StudyInstanceUID": uid, "SeriesInstanceUID": "", "Modality": ""}):
        if series["Modality"].upper() in peer.wanted_modalities:
            uids = {"StudyInstanceUID": uid, "SeriesInstanceUID": series["SeriesInstanceUID"]}
            found |= {row["SOPInstanceUID"] for row in find(peer, "IMAGE", {**uids, "SOPInstanceUID": ""})}
    return found - {""}


def _chunks(uids: list[str]) -> Iterable[list[str]]:
    return (uids[at : at + UIDS_AT_ONCE] for at in range(0, len(uids), UIDS_AT_ONCE))
