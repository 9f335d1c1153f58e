"""Fetch priors: C-FIND for the patient's earlier studies at a peer, C-MOVE of those that fit to ourselves."""

from __future__ import annotations

import time
from collections.abc import Iterator

from django.db.models import Sum

from apps.radiology.exchange.scu import PeerFailed, Row, find, move
from apps.radiology.exchange.services.priors import (
    claim_fetch,
    is_here,
    numbers_of,
    put_off,
    request_prior,
    settle_fetch,
)
from apps.radiology.models import Instance, PriorFetch, Study

TURN_S = 60.0  # then whatever else waits in the queue comes first
LOOKED_AT_MAX = 50  # studies of one patient whose series are asked for
SPECIAL = set("*?\\")  # would match other patients (PS3.4 C.2.2.2.4)
STUDY_KEYS = ("StudyInstanceUID", "PatientBirthDate", "IssuerOfPatientID", "StudyTime", "ModalitiesInStudy")
SERIES_KEYS = ("SeriesInstanceUID", "Modality", "BodyPartExamined", "NumberOfSeriesRelatedInstances")


def fetch_due_priors() -> None:
    """As many as fit into a turn."""
    end = time.monotonic() + TURN_S
    while time.monotonic() < end and (fetch := claim_fetch()) is not None:
        try:
            _fetch(fetch, end)
        except PeerFailed as error:
            put_off(fetch, error.message)
        else:
            settle_fetch(fetch)


def _fetch(fetch: PriorFetch, end: float) -> None:
    """Counts into `fetch` what was found, fetched and left out. Raises PeerFailed."""
    peer, site = fetch.peer, fetch.study.site
    candidates = [row for number in numbers_of(fetch.study) for row in _earlier(fetch, number)]
    candidates.sort(key=lambda row: (row["StudyDate"], row["StudyTime"]), reverse=True)
    known = set(fetch.requests.values_list("StudyInstanceUID", flat=True))
    fetch.found = fetch.fetched = fetch.left_out = 0
    for row in candidates[:LOOKED_AT_MAX]:
        uid = row["StudyInstanceUID"]
        if is_here(site, uid) and uid not in known:
            continue
        series = list(_fitting_series(fetch, uid))
        if not series:
            continue
        fetch.found += 1
        if fetch.fetched >= peer.priors_max or _spent(fetch) or time.monotonic() > end:
            fetch.left_out += 1
            continue
        request_prior(fetch, uid)
        for one in series:
            _move(fetch, uid, one, end)
        fetch.fetched += is_here(site, uid)


def _earlier(fetch: PriorFetch, number: str) -> Iterator[Row]:
    """Studies under this PatientID of no later day than the one that arrived, of a modality that is wanted.

    Another issuer or birth date under the same number is another patient.
    """
    study = fetch.study
    if not number or SPECIAL & set(number):
        return
    date = study.StudyDate if study.StudyDate.isdecimal() and len(study.StudyDate) == 8 else ""
    asked = {"PatientID": number, "StudyDate": f"-{date}" if date else "", **dict.fromkeys(STUDY_KEYS, "")}
    for row in find(fetch.peer, "STUDY", asked):
        modalities = set(row["ModalitiesInStudy"].upper().split("\\")) - {""}
        same = row["PatientID"] == number and all(
            not row[name] or not getattr(study, name) or row[name] == getattr(study, name)
            for name in ("PatientBirthDate", "IssuerOfPatientID")
        )
        wanted = not modalities or modalities & fetch.peer.wanted_modalities
        if same and wanted and row["StudyInstanceUID"] not in ("", study.StudyInstanceUID):
            yield row


def _fitting_series(fetch: PriorFetch, study_uid: str) -> Iterator[Row]:
    peer = fetch.peer
    for row in find(peer, "SERIES", {"StudyInstanceUID": study_uid, **dict.fromkeys(SERIES_KEYS, "")}):
        part = row["BodyPartExamined"].upper()
        fits = not part or not peer.wanted_body_parts or part in peer.wanted_body_parts
        if row["SeriesInstanceUID"] and row["Modality"].upper() in peer.wanted_modalities and fits:
            yield row


def _move(fetch: PriorFetch, study_uid: str, series: Row, end: float) -> None:
    uids = {"StudyInstanceUID": study_uid, "SeriesInstanceUID": series["SeriesInstanceUID"]}
    moved = move(fetch.peer, "SERIES", uids, until=end, enough=lambda: _spent(fetch))
    if moved.failed and not moved.completed:
        text = f"{fetch.peer.AETitle} could not send to us: does it know where we listen?"
        raise PeerFailed("not_sent", text)


def _spent(fetch: PriorFetch) -> bool:
    """Whether what came for this study's sake is as much as it may be."""
    uids = fetch.requests.values_list("StudyInstanceUID", flat=True)
    studies = Study.objects.filter(site=fetch.study.site_id, StudyInstanceUID__in=list(uids), is_prior=True)
    size = Instance.objects.filter(study__in=studies).aggregate(size=Sum("file_bytes"))["size"] or 0
    return bool(size >= fetch.peer.priors_max_mb * 1024**2)
