"""`manage.py reconcile` against a real archive: what is missing here, in part, or there."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.radiology.exchange.services import reconcile
from apps.radiology.models import DicomPeer, Instance, Study
from tests.radiology.conftest import film

pytestmark = pytest.mark.django_db(transaction=True)
DAY = "20260301"


def run(*arguments: str) -> tuple[int, str]:
    said, code = io.StringIO(), 0
    try:
        call_command("reconcile", "--date", "2026-03-01", *arguments, stdout=said, stderr=io.StringIO())
    except SystemExit as ended:
        code = int(ended.code or 0)
    return code, said.getvalue()


def differences(*arguments: str) -> dict[str, dict[str, Any]]:
    [found] = json.loads(run("--json", *arguments)[1])
    return {one["StudyInstanceUID"]: one for one in found["differences"]}


@pytest.fixture
def day(orthanc, peer, older, arrive):
    """Four studies: the same on both sides, unknown here, half here, unknown there."""
    same, unknown = older(DAY), older(DAY, AccessionNumber="A77", seed=2)
    half = older(DAY, seed=3)
    rest = older(DAY, seed=4, StudyInstanceUID=half.StudyInstanceUID)
    ours = film(StudyDate=DAY, seed=5)
    for data in (same, half, ours):
        arrive(data)
    older("20260302", seed=6)
    older(DAY, seed=7, Modality="MR", SOPClassUID="1.2.840.10008.5.1.4.1.1.4")  # not asked for
    return same, unknown, half, rest, ours


def test_it_works(day) -> None:
    _, unknown, half, rest, ours = day
    found = differences()
    told = {uid: (one["what"], one["here"], one["there"]) for uid, one in found.items()}
    assert told == {
        unknown.StudyInstanceUID: ("missing_here", 0, 1),
        half.StudyInstanceUID: ("incomplete_here", 1, 2),
        ours.StudyInstanceUID: ("missing_there", 1, 0),
    }
    assert found[half.StudyInstanceUID]["missing"] == [rest.SOPInstanceUID]
    code, table = run("--peer", "ORTHANC")
    assert code == 2
    assert "ORTHANC, 20260301: 1 study the same." in table
    assert f"missing here         0     1  A77               {unknown.StudyInstanceUID}" in table
    assert "Missing here: 2 instances; --fetch has them sent." in table
    assert "4711" not in table and "Doe" not in table


def test_what_is_missing_here_is_fetched_as_work(day) -> None:
    _, unknown, _, rest, ours = day
    assert set(differences("--fetch")) == {ours.StudyInstanceUID}
    known = set(Instance.objects.values_list("SOPInstanceUID", flat=True))
    assert {unknown.SOPInstanceUID, rest.SOPInstanceUID} <= known
    assert not Study.objects.filter(is_prior=True).exists()


def test_nothing_missing_is_zero(orthanc, peer, older, arrive) -> None:
    arrive(older(DAY))
    assert run()[0] == 0


def test_without_a_look_at_instances_half_a_study_would_pass(day, monkeypatch) -> None:
    monkeypatch.setattr(reconcile, "_images", lambda peer, uid: reconcile._held(peer, uid))
    assert set(differences()) == {day[4].StudyInstanceUID}


def test_a_corrected_date_is_no_difference(orthanc, peer, older, arrive) -> None:
    arrive(older(DAY))
    arrive(older("20250101", seed=2))
    Study.objects.filter(StudyDate=DAY).update(StudyDate="20260228")
    Study.objects.filter(StudyDate="20250101").update(StudyDate=DAY)
    assert run()[0] == 0


def test_what_cannot_be_asked_is_said(orthanc, peer) -> None:
    with pytest.raises(CommandError, match="YYYY-MM-DD"):
        call_command("reconcile", "--date", "yesterday")
    with pytest.raises(CommandError, match="No such peer"):
        run("--peer", "OTHER")
    DicomPeer.objects.update(port=9)
    with pytest.raises(CommandError, match="does not answer"):
        run()
