"""The live worklist: its order, its states, its filters, and what changes while it is open."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from apps.radiology.analysis.services.analyse import analyse_instance
from apps.radiology.models import Study
from tests.radiology.conftest import film
from tests.radiology.worklist.conftest import address, ids


def test_it_works(radiologist, received) -> None:
    study = received(StudyDescription="Chest PA").study
    page = radiologist.get("/radiology/")
    assert ids(page) == [str(study.public_id)]
    text = page.content.decode()
    assert "4711" in text
    assert "Chest PA" in text
    assert "waiting" in text
    assert "1 study to read at North" in text


def test_an_empty_worklist_says_what_to_do(radiologist) -> None:
    page = radiologist.get("/radiology/").content.decode()
    assert "No study here yet" in page
    assert "/radiology/upload/" in page


def test_filters_that_find_nothing_can_be_cleared(radiologist, received) -> None:
    received()
    page = radiologist.get("/radiology/?q=nobody")
    assert ids(page) == []
    assert "Clear filters" in page.content.decode()
    assert radiologist.get("/radiology/?status=%27&finding=%00&q=%25&page=x").status_code == 200


def test_raised_studies_come_first_then_the_longest_waiting(
    radiologist, received, judged, concurrent
) -> None:
    first, second, third = (received() for _ in range(3))
    judged(third, Effusion=(0.9, 0.4))
    judged(second, Effusion=(0.1, 0.4))
    page = radiologist.get("/radiology/")
    assert ids(page) == [str(one.study.public_id) for one in (third, first, second)]
    text = page.content.decode()
    assert "raised by AI" in text
    assert "No finding above its operating point." in text
    assert "pleural effusion" in text
    assert "<b>0.90</b>, operates at 0.40" in text  # never a bare probability


def test_a_study_without_findings_says_why(radiologist, received) -> None:
    analyse_instance(received(ViewPosition="LL").pk)
    assert "Not analysed: lateral view." in radiologist.get("/radiology/").content.decode()


def test_n_goes_down_the_list(radiologist, received, judged) -> None:
    first, second, third = (received() for _ in range(3))
    judged(third, Effusion=(0.9, 0.4))
    path = f"/radiology/studies/{third.study.public_id}/"
    seen = [path]
    while found := re.search(
        r'data-key="n"[^>]*?href="([^"]+)"', radiologist.get(path).content.decode(), re.S
    ):
        path = found[1]
        seen.append(path)
    order = [one.study.public_id for one in (third, first, second)]
    assert seen == [f"/radiology/studies/{public_id}/" for public_id in order]


def test_filters(radiologist, received, judged, concurrent) -> None:
    raised = judged(received(), Effusion=(0.9, 0.4)).study
    hand = received(BodyPartExamined="HAND", PatientID="9000", AccessionNumber="B2")
    analyse_instance(hand.pk)
    for query, found in {
        "status=analysed": raised,
        "status=not_analysed": hand.study,
        "finding=Effusion": raised,
        "q=900": hand.study,
        "q=b2": hand.study,
    }.items():
        assert ids(radiologist.get(f"/radiology/?{query}")) == [str(found.public_id)], query


def test_names_are_not_searched_since_the_search_stands_in_the_address(radiologist, received) -> None:
    received()
    assert ids(radiologist.get("/radiology/?q=Doe")) == []


def test_the_live_part_answers_only_when_something_changed(radiologist, received) -> None:
    live = address(radiologist.get("/radiology/"))
    assert radiologist.get(live).status_code == 204
    instance = received()
    answer = radiologist.get(live)
    assert answer.status_code == 200
    assert answer.content.decode().strip().startswith("<tbody")
    live = address(answer)
    assert radiologist.get(live).status_code == 204
    analyse_instance(instance.pk)
    assert radiologist.get(live).status_code == 200


def test_a_change_that_commits_late_with_an_earlier_time_is_seen(radiologist, received) -> None:
    early, late = received().study, received().study
    live = address(radiologist.get("/radiology/"))
    Study.objects.filter(pk=early.pk).update(changed_at=late.changed_at - timedelta(microseconds=1))
    assert radiologist.get(live).status_code == 200


def test_a_synthetic_film_is_marked(radiologist, received) -> None:
    received(Manufacturer="Lynceus synthetic")
    assert "SYNTHETIC" in radiologist.get("/radiology/").content.decode()


def test_what_a_header_says_is_text_and_no_markup(radiologist, received) -> None:
    received(PatientID="<script>alert(1)</script>", StudyDescription="<b>x</b>")
    page = radiologist.get("/radiology/").content.decode()
    assert "<script>alert" not in page
    assert "<b>x</b>" not in page


def test_another_sites_studies_are_not_listed(radiologist, received, other_site) -> None:
    received()
    Study.objects.update(site=other_site)
    page = radiologist.get("/radiology/")
    assert ids(page) == []
    assert "0 studies to read at North" in page.content.decode()


@pytest.mark.parametrize("role", ["fraud_analyst", "ml_admin", "auditor", "operator"])
def test_other_roles_stay_out(client, make_user, role) -> None:
    assert client.get("/radiology/").status_code == 302
    client.force_login(make_user(role))
    assert client.get("/radiology/").status_code == 403
    assert client.get("/radiology/rows/").status_code == 403


def test_over_long_texts_cost_no_film(radiologist, received) -> None:
    received(
        PatientID="7" * 200, AccessionNumber="x" * 100, StudyDescription="d" * 300, PatientSex="other" * 9
    )
    assert Study.objects.get().AccessionNumber == "x" * 64
    assert film().PatientID not in radiologist.get("/radiology/").content.decode()
