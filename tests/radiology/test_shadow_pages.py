"""The page of a film version in shadow: begun there, and what it tells an administrator of models."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import expect

from apps.accounts.models import Site, User
from apps.audit.models import AuditEvent
from apps.radiology.lifecycle.services.follow import follow_analyses
from apps.radiology.lifecycle.shadow import open_run
from apps.radiology.lifecycle.shadow_cases import moved_studies
from apps.radiology.lifecycle.shadow_figures import in_sight, raised_of, rows_by_finding, studies_of
from apps.radiology.lifecycle.shadow_reads import against_reads
from apps.radiology.models import Comparison, Instance, RejectionNote, ShadowRun, Study
from apps.radiology.studies.services.studies import sum_up
from ml.radiology.contracts import GateVerdict
from tests.fraud.test_alert_in_browser import looked_at
from tests.fraud.test_alert_in_browser import session as session
from tests.fraud.test_watch import text_of
from tests.promoting import put_in_service
from tests.radiology.shadowing import NO, YES, version_of
from tests.radiology.shadowing import analysed as analysed
from tests.radiology.shadowing import begin as begin
from tests.radiology.shadowing import challenger as challenger
from tests.radiology.shadowing import ml_admin as ml_admin
from tests.radiology.shadowing import serving as serving
from tests.radiology.shadowing import shadowing as shadowing
from tests.radiology.shadowing import waits as waits
from tests.radiology.test_in_browser import LOOKS, opened


@pytest.fixture
def desk(ml_admin) -> Client:
    client = Client()
    client.force_login(ml_admin)
    return client


def address(version: Any, part: str = "") -> str:
    return f"/radiology/shadow/{version.pk}/{part}"


def points(desk: Client, version: Any, name: str, finding: str = "") -> dict[str, int]:
    chart = desk.get(address(version, f"{name}.json"), {"finding": finding}).json()
    return {one["name"]: len(one["points"]) for one in chart["series"]}


def read(study: Study, version: Any, present: bool, label: str = "Effusion") -> None:
    """As services.compare leaves a study that was read before the reveal."""
    Comparison.objects.create(
        site=study.site, study=study, version=version, label=label, probability=0.5, called=True,
        blind=present, present=present, read_at=study.received_at,
    )  # fmt: skip


def test_an_administrator_begins_and_ends_it(desk, challenger, analysed) -> None:
    assert "It has never been in shadow" in text_of(desk.get(address(challenger)))
    assert points(desk, challenger, "raised") == {}
    said = text_of(desk.post(address(challenger, "start/"), follow=True))
    assert "No reader sees what it says" in said and "nothing waits" in said
    page = desk.get(f"/models/versions/{challenger.pk}/")
    assert "in shadow" in text_of(page) and address(challenger) in page.content.decode()
    analysed(YES, NO)
    assert "1 film waits, all sites" in text_of(desk.get(address(challenger)))
    waiting = re.findall(
        r'lynceus_queue_waiting\{queue="(\w+)"\} (.+)', desk.get("/metrics").content.decode()
    )
    assert dict(waiting)["shadow"] == "1.0"
    desk.post(address(challenger, "stop/"))
    assert "was not in shadow" in text_of(desk.post(address(challenger, "stop/"), follow=True))
    ended = AuditEvent.objects.get(action="shadow.ended")
    assert ended.actor.startswith("user:") and ShadowRun.objects.get().end == "stopped"


def test_the_page_shows_where_the_two_differ(desk, version, challenger, begin, analysed) -> None:
    begin(challenger)
    both = {"Effusion": 0.8, "Nodule": 0.1}
    analysed(both, both)
    raised = analysed(YES, NO)
    analysed(NO, {"Effusion": 0.91, "Cardiomegaly": 0.9}, ViewPosition="AP")
    analysed(YES, GateVerdict(False, "outside", "Not like what it learnt from."))
    follow_analyses()
    said = text_of(desk.get(address(challenger)))
    assert "Studies raised 2 instead of 3, 1 in both" in said
    assert "Would have come earlier 1 of 4 studies" in said
    assert "Not like what it learnt from. not its to judge 1" in said
    assert "too few to say n 3" in said  # of three films no share is given
    assert "Films called otherwise 2" in said and "0.91 at 0.50, called" in said
    assert str(raised.instance.study.public_id)[:8] in said
    for secret in ("4711", "Doe", "Jane", str(raised.instance.public_id), "/radiology/studies/"):
        assert secret not in desk.get(address(challenger)).content.decode()
    assert points(desk, challenger, "scores", "Effusion") == {"called alike": 1, "called otherwise": 2}
    assert points(desk, challenger, "scores", "nothing") == {}
    assert points(desk, challenger, "raised") == {"raised": 1, "would have been": 1}
    assert desk.get(address(challenger, "nothing.json")).status_code == 404
    assert "0.20 at 0.50, not called" in said and desk.get(address(version)).status_code == 200


def test_it_says_that_another_came_into_service_meanwhile(desk, version, challenger, begin, analysed) -> None:
    put_in_service(version_of(version, challenger.artefact_hash, 8))
    begin(challenger)
    assert "more than one" not in text_of(desk.get(address(challenger)))
    put_in_service(version_of(version, challenger.artefact_hash, 9))
    said = text_of(desk.get(address(challenger)))
    assert "more than one version: version 9 came into service" in said and "version 8 came" not in said


def test_the_line_as_it_would_have_been(challenger, begin, analysed, site) -> None:
    run = begin(challenger)
    later, plain, earlier = analysed(YES, NO), analysed(NO, NO), analysed(NO, YES)
    follow_analyses()
    films = in_sight(run, site)
    second, first = moved_studies(site, studies_of(films), films)
    assert (first.name, first.earlier) == (str(later.instance.study.public_id)[:8], False)
    assert (first.place, first.would_be, first.was, first.would) == (1, 1, ["Effusion"], [])
    assert (second.earlier, second.place, second.would_be) == (True, 3, 2)
    Study.objects.filter(pk=earlier.instance.study_id).update(read_state="final")
    second, first = moved_studies(site, studies_of(films), films)
    assert (second.place, first.place, first.would_be) == (None, 1, 1)
    assert plain.instance.study.pk not in {one.study for one in studies_of(films) if one.raised}


def test_a_rejected_film_is_out_of_sight(challenger, begin, analysed, site) -> None:
    run = begin(challenger)
    made = analysed(YES, NO)
    follow_analyses()
    note = RejectionNote.objects.create(
        site=site, SOPInstanceUID="1.2", code="113001", file_sha256="0" * 64, received_at=made.at
    )
    Instance.objects.filter(pk=made.instance_id).update(rejected_by=note)
    sum_up(made.instance.study_id)
    assert not in_sight(run, site).exists()


def test_few_films_and_reads_say_nothing_and_enough_have_intervals(
    desk, version, challenger, begin, analysed, site
) -> None:
    run = begin(challenger)
    films = [analysed(was, would) for was, would in [(NO, YES)] * 11 + [(YES, YES)] * 8]
    follow_analyses()
    few = text_of(desk.get(address(challenger)))
    assert "too few to say n 19" in few and "No read that was committed before the reveal" in few
    films.append(analysed(NO, NO))
    follow_analyses()
    for number, one in enumerate(films):
        Study.objects.filter(pk=one.instance.study_id).update(PatientID=str(number))
        read(one.instance.study, version, present=one is not films[0])
    assert "better" not in text_of(desk.get(address(challenger)))  # 19 with the finding, 1 without
    Comparison.objects.filter(study=films[0].instance.study_id).update(blind=True)
    [row] = rows_by_finding(in_sight(run, site))
    assert (row.both, row.was_only, row.would_only, row.neither) == (8, 0, 11, 1)
    assert row.same.enough and row.same.low < row.same.value == 9 / 20 < row.same.high
    assert row.kappa.low < row.kappa.kappa < row.kappa.high
    raised = raised_of(studies_of(in_sight(run, site)))
    assert (raised.n, raised.both, raised.was, raised.would) == (20, 8, 8, 19)
    [found] = against_reads(in_sight(run, site))
    sensitivity, specificity = found.measures
    assert (sensitivity.was.value, sensitivity.would.value, found.n) == (8 / 20, 19 / 20, 20)
    assert (sensitivity.difference.value, sensitivity.verdict) == (pytest.approx(11 / 20), "better")
    assert (specificity.difference, specificity.verdict, specificity.was.n) == (None, "", 0)
    assert "better" in text_of(desk.get(address(challenger)))
    assert points(desk, challenger, "agreement", "Effusion") == {"pleural effusion": 1}


def test_what_was_settled_later_is_no_test_of_it(version, challenger, begin, analysed, site) -> None:
    """It was opened where the version in service and a reader differed."""
    run = begin(challenger)
    study = analysed(NO, YES).instance.study
    follow_analyses()
    read(study, version, present=True)
    Comparison.objects.update(blind=None, adjudicated=True)
    assert against_reads(in_sight(run, site)) == []


def test_another_sites_films_are_not_told(challenger, begin, analysed, other_site) -> None:
    run = begin(challenger)
    analysed(YES, NO)
    follow_analyses()
    assert not in_sight(run, other_site).exists() and open_run() == run
    stranger = Client()
    stranger.force_login(
        User.objects.create_user(
            "s@south.example", "x", site=Site.objects.get(pk=other_site.pk), role="ml_admin"
        )
    )
    assert stranger.get(address(challenger)).status_code == 404


@pytest.mark.django_db(transaction=True)
def test_in_the_browser_it_stands_in_every_look(
    version, challenger, begin, analysed, ml_admin, session, live_server
) -> None:
    begin(challenger)
    odd = GateVerdict(False, "outside", "Not like what it learnt from.")
    for n in range(24):
        was = {"Effusion": (n * 7 % 24) / 24, "Nodule": (n * 5 % 24) / 40}
        would = odd if n == 3 else {"Effusion": (n * 7 % 22) / 23, "Nodule": (n * 11 % 24) / 40}
        read(analysed(was, would).instance.study, version, present=n % 2 == 0)
    follow_analyses()
    cookie, found = session(ml_admin), []
    for width, scheme in LOOKS:
        with opened(width, scheme) as page:
            page.context.add_cookies([cookie])
            page.goto(live_server.url + address(challenger))
            expect(page.get_by_role("heading", name="Films called otherwise")).to_be_visible()
            expect(page.locator(".plot canvas").first).to_be_visible()
            found += looked_at(page, "film-shadow", width, scheme)
    assert found == []
