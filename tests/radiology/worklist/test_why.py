"""The list says why a study stands where it does, and tells a reader nothing too early."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client

from apps.core.clock import now
from apps.radiology.analysis.services.analyse import analyse_instance
from apps.radiology.models import Instance, Study
from apps.radiology.worklist import worklist_views
from tests.radiology.worklist.conftest import address, ids, row_of

SPOILS = re.compile(r"effusion|nodule|0\.83|0\.41|operates at", re.I)


@pytest.fixture
def raised(received, judged) -> Study:
    return judged(received(), Effusion=(0.83, 0.41), Nodule=(0.1, 0.3)).study


def test_in_concurrent_mode_finding_probability_and_operating_point(radiologist, raised, concurrent) -> None:
    row = row_of(radiologist.get("/radiology/"), raised)
    assert "raised by AI pleural effusion 0.83 , operates at 0.41" in row
    assert "nodule" not in row


def test_before_the_commit_nothing_but_that_it_was_raised(radiologist, raised) -> None:
    page = radiologist.get("/radiology/")
    live = address(page)
    assert "raised by AI" in row_of(page, raised)
    # So that the live part answers.
    Study.objects.filter(pk=raised.pk).update(changed_at=now())
    for door in (
        "/radiology/",
        "/radiology/?finding=Effusion",
        "/radiology/?reading=all",
        "/radiology/standing/",
    ):
        assert not SPOILS.search(radiologist.get(door).content.decode()), door
    answer = radiologist.get(live)
    assert answer.status_code == 200
    assert not SPOILS.search(answer.content.decode())


def test_once_this_reader_has_committed_the_list_says_it_to_them_alone(
    radiologist, raised, make_user
) -> None:
    door = f"/radiology/studies/{raised.public_id}/read/"
    radiologist.post(door)
    radiologist.post(f"{door}commit/")
    assert "pleural effusion 0.83" in row_of(radiologist.get("/radiology/"), raised)
    colleague = Client()
    colleague.force_login(make_user("radiologist", email="c@example.org"))
    assert not SPOILS.search(colleague.get("/radiology/").content.decode())


def test_the_check_would_notice_a_list_that_spoils(radiologist, raised, monkeypatch) -> None:
    """Sabotage: a policy that takes every site for a concurrent one."""
    real = worklist_views.policy_of

    def careless(site):
        policy = real(site)
        policy.concurrent = True
        return policy

    monkeypatch.setattr(worklist_views, "policy_of", careless)
    assert SPOILS.search(radiologist.get("/radiology/").content.decode())


def test_a_lateral_is_said_plainly_and_keeps_its_place(radiologist, received, judged) -> None:
    lateral, frontal = received(ViewPosition="LL"), received()
    analyse_instance(lateral.pk)
    judged(frontal, Effusion=(0.1, 0.4))
    page = radiologist.get("/radiology/")
    assert "Not analysed: lateral view." in row_of(page, lateral.study)
    text = page.content.decode()
    assert text.index(str(lateral.study.public_id)) < text.index(str(frontal.study.public_id))


def test_no_page_calls_anything_normal_or_cleared(radiologist, received, judged, concurrent) -> None:
    judged(received(), Effusion=(0.1, 0.4))
    analyse_instance(received(ViewPosition="LL").pk)
    page = radiologist.get("/radiology/").content.decode()
    assert "No finding above its operating point." in page
    assert not re.search(r"\bnormal\b|\bcleared\b|no abnormal", page, re.I)


def test_over_target_is_marked_with_icon_and_word_by_the_sites_targets(
    radiologist, received, concurrent
) -> None:
    study = received().study
    Study.objects.filter(pk=study.pk).update(received_at=now() - timedelta(minutes=31))
    live = address(radiologist.get("/radiology/"))
    assert "over 30 min" not in row_of(radiologist.get("/radiology/"), study)
    concurrent.routine_target_min = 30
    concurrent.save()
    answer = radiologist.get(live)  # a target that passes is seen though no row changed
    assert "over 30 min" in row_of(answer, study)
    assert '#clock"' in answer.content.decode()


def test_an_exam_clock_that_disagrees_is_marked(radiologist, received) -> None:
    study = received(StudyDate="20200101", StudyTime="0800").study
    assert "exam clock" in row_of(radiologist.get("/radiology/"), study)
    assert "before receipt" in row_of(radiologist.get("/radiology/"), study)


def test_while_the_model_is_behind_the_list_says_so_and_keeps_its_order(
    radiologist, received, version
) -> None:
    first, second = received(), received()
    page = radiologist.get("/radiology/")
    assert "The AI is behind" not in page.content.decode()
    before = ids(radiologist.get("/radiology/"))
    Instance.objects.update(received_at=now() - timedelta(minutes=5))
    said = radiologist.get("/radiology/standing/").content.decode()
    assert "The AI is behind" in said
    assert "2 films wait" in said
    assert "keeps its order" in said
    expected = [str(one.study.public_id) for one in (first, second)]
    assert before == ids(radiologist.get("/radiology/")) == expected


def test_without_a_model_the_list_says_that(radiologist, received) -> None:
    received()
    Instance.objects.update(received_at=now() - timedelta(minutes=5))
    assert "No model is in service" in radiologist.get("/radiology/standing/").content.decode()
