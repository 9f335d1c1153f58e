"""A film version in shadow: begun and ended by a person or by what becomes of it, unseen by readers."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.audit.models import AuditEvent
from apps.core.errors import LynceusError
from apps.core.status import queue_ages
from apps.modelops.common.places import artefact_folder
from apps.modelops.models import RunEnd
from apps.radiology.analysis.services.analyse import analyse_instance
from apps.radiology.lifecycle.services import follow, shadow
from apps.radiology.lifecycle.services.follow import follow_analyses
from apps.radiology.lifecycle.services.shadow import end_shadow
from apps.radiology.lifecycle.shadow import open_run
from apps.radiology.models import Analysis, ShadowRun, Study
from tests.promoting import put_in_service
from tests.radiology.shadowing import NO, YES, said, version_of
from tests.radiology.shadowing import analysed as analysed
from tests.radiology.shadowing import begin as begin
from tests.radiology.shadowing import challenger as challenger
from tests.radiology.shadowing import ml_admin as ml_admin
from tests.radiology.shadowing import serving as serving
from tests.radiology.shadowing import shadowing as shadowing
from tests.radiology.shadowing import waits as waits
from tests.radiology.worklist.conftest import row_of


def test_begun_twice_it_is_one_run_and_what_serves_is_none(challenger, begin) -> None:
    assert begin(challenger) == begin(challenger)
    assert AuditEvent.objects.filter(action="shadow.started").count() == 1
    put_in_service(challenger)
    with pytest.raises(LynceusError) as refused:
        begin(challenger)
    assert refused.value.code == "in_service" and ShadowRun.objects.count() == 1


def test_another_takes_its_place(version, challenger, begin) -> None:
    first, second = begin(challenger), begin(version_of(version, challenger.artefact_hash, 6))
    first.refresh_from_db()
    assert (first.end, open_run()) == (RunEnd.REPLACED, second)


def test_once_ended_nothing_is_scored(challenger, begin, analysed, ml_admin, site) -> None:
    run = begin(challenger)
    analysed(YES, NO)
    follow_analyses()
    assert end_shadow(run, RunEnd.STOPPED, by=ml_admin, site=site)
    assert not end_shadow(run, RunEnd.STOPPED, by=ml_admin, site=site)
    analysed(YES, NO)
    assert (shadow.ring_shadow(), follow_analyses(), len(said())) == (0, 0, 1)
    challenger.model.refresh_from_db()
    assert challenger.model.shadow is None
    assert AuditEvent.objects.get(action="shadow.ended").detail["why"] == "stopped"


def test_ended_while_films_are_judged_it_keeps_nothing_more(
    challenger, begin, analysed, ml_admin, site, monkeypatch
) -> None:
    run, honest = begin(challenger), follow._judged
    analysed(YES, NO)

    def ended(*given: Any) -> Any:
        end_shadow(run, RunEnd.STOPPED, by=ml_admin, site=site)
        return honest(*given)

    monkeypatch.setattr(follow, "_judged", ended)
    assert (follow_analyses(), said()) == (0, [])


def test_put_in_service_it_is_in_shadow_no_longer(challenger, begin, analysed) -> None:
    run = begin(challenger)
    put_in_service(challenger)
    analysed(YES, NO)
    assert follow_analyses() == 0
    run.refresh_from_db()
    challenger.model.refresh_from_db()
    assert (run.end, challenger.model.shadow) == (RunEnd.PROMOTED, None)


def test_one_that_cannot_be_loaded_says_so_and_goes_on_later(
    challenger, begin, analysed, monkeypatch
) -> None:
    """Its folder is whole but holds no film model; then it is gone; then it answers."""
    run, ready = begin(challenger), follow.challenger
    made = analysed(YES, NO)
    monkeypatch.undo()
    assert follow_analyses() == 0
    run.refresh_from_db()
    assert "another release" in run.trouble
    folder = artefact_folder(challenger.artefact_hash)
    folder.rename(folder.with_suffix(".away"))
    assert follow_analyses() == 0
    run.refresh_from_db()
    assert run.trouble and "another release" not in run.trouble
    pending, oldest_s = queue_ages()["shadow"]
    assert pending == 1 and oldest_s is not None
    monkeypatch.setattr(follow, "challenger", ready)
    assert follow_analyses() == 1
    run.refresh_from_db()
    assert (run.trouble, said()) == ("", [(made.pk, "scored", True, False)])


def test_the_sweeper_rings_while_it_is_behind(challenger, begin, analysed, monkeypatch) -> None:
    monkeypatch.setattr(follow, "transactions", lambda: (1, 1))  # other tests share the server, and are open
    assert shadow.ring_shadow() == 0
    begin(challenger)
    assert shadow.ring_shadow() == 0
    analysed(YES, NO)
    assert shadow.ring_shadow() == 1
    for _ in range(3):
        follow_analyses()
    assert (shadow.ring_shadow(), queue_ages()["shadow"]) == (0, (0, None))


def test_a_long_queue_is_left_to_the_next_bell(challenger, begin, analysed, monkeypatch) -> None:
    """Decisions wait for the same worker."""
    rung: list[str] = []
    monkeypatch.setattr(follow, "BATCH", 1)
    monkeypatch.setattr(follow, "RUNG_S", 0.0)
    monkeypatch.setattr(follow, "ring", rung.append)
    begin(challenger)
    analysed(YES, NO), analysed(NO, NO)
    assert (follow_analyses(), rung) == (1, [shadow.TASK])


# --- readers and the worker that judges know nothing of it ------------------------------------------


def statements_of(work: Callable[[], Any]) -> int:
    with CaptureQueriesContext(connection) as seen:
        work()
    return len(seen)


def test_judging_takes_no_statement_more(challenger, begin, waits) -> None:
    analyse_instance(waits(YES, NO).pk)
    plain = waits(YES, NO)
    without = statements_of(lambda: analyse_instance(plain.pk))
    begin(challenger)
    followed = waits(YES, NO)
    assert statements_of(lambda: analyse_instance(followed.pk)) == without
    assert follow_analyses() == 1


def test_were_it_scored_with_the_film_it_would(challenger, begin, waits) -> None:
    analyse_instance(waits(YES, NO).pk)
    plain = waits(YES, NO)
    without = statements_of(lambda: analyse_instance(plain.pk))
    begin(challenger)
    followed = waits(YES, NO)
    assert statements_of(lambda: (analyse_instance(followed.pk), follow_analyses())) > without


def without_secrets(page: Any) -> str:
    """Each page has its own token against forged requests."""
    return re.sub(r'csrf\w*" value="\w+"|X-CSRFToken[^}]*', "", page.content.decode())


def what_readers_see(radiologist, client, token, study: Study) -> list[Any]:
    study.refresh_from_db()
    bearer = {"authorization": f"Bearer {token}"}
    web = f"/dicom-web/studies/{study.StudyInstanceUID}/series"
    return [
        (study.raised, study.raised_by, study.rank_at, study.changed_at),
        row_of(radiologist.get("/radiology/"), study),
        without_secrets(radiologist.get(f"/radiology/studies/{study.public_id}/analysis/")),
        radiologist.get(f"/radiology/instances/{study.instances.get().public_id}/status/").content,
        client.get(f"/api/v1/studies/{study.StudyInstanceUID}", headers=bearer).json(),
        client.get(web, headers=bearer).json(),
    ]


def test_readers_see_nothing_of_it(
    challenger, begin, analysed, radiologist, client, token, concurrent
) -> None:
    begin(challenger)
    study = analysed(NO, {"Effusion": 0.97}).instance.study
    before = what_readers_see(radiologist, client, token, study)
    follow_analyses()
    assert said()[0][2:] == (False, True)
    assert what_readers_see(radiologist, client, token, study) == before


def test_were_it_kept_with_what_was_found_they_would(
    challenger, begin, analysed, radiologist, client, token, concurrent, monkeypatch
) -> None:
    begin(challenger)
    study = analysed(NO, {"Effusion": 0.97}).instance.study
    before = what_readers_see(radiologist, client, token, study)

    def kept_there(run: Any, told: Any) -> None:
        for one in told:
            found = Analysis.objects.create(
                instance=one.analysis.instance, version=run.version, at=one.analysis.at,
                pixel_sha256=one.analysis.pixel_sha256,
            )  # fmt: skip
            for each in one.answer.findings:
                found.findings.create(
                    label=each.label, probability=each.probability, operating_point=each.operating_point,
                    positive=each.positive,
                )  # fmt: skip

    monkeypatch.setattr(follow, "_keep", kept_there)
    monkeypatch.setattr(follow, "RUNG_S", 0.0)
    follow_analyses()
    assert what_readers_see(radiologist, client, token, study) != before
