"""Versions beside each other: worked out by a worker, read by the page."""

from __future__ import annotations

import json

import numpy as np
import pytest
from django.urls import reverse

from apps.modelops.tasks import compare_versions
from apps.modelops.versions.services import comparisons
from ml.common.scored import FILE
from tests.ml.common.test_comparing import LABELS, SCORES, WORSE, version
from tests.modelops.domain import cases
from tests.promoting import put_in_service

HALF = {"sex_female": np.arange(300) < 150}


def kept(scores, **more) -> dict[str, bytes]:
    return {FILE: version(scores, subgroups=HALF, **more).to_bytes()}


@pytest.fixture
def pair(make_version, site):
    first, second = make_version(files=kept(SCORES)), make_version(files=kept(WORSE))
    put_in_service(first)
    first.model.refresh_from_db()
    return first, second


@pytest.fixture
def rung(monkeypatch) -> list[tuple[object, ...]]:
    heard: list[tuple[object, ...]] = []
    monkeypatch.setattr(comparisons, "ring", lambda *words: heard.append(words))
    return heard


def address(*versions, name: str = "compare", **more: str) -> str:
    chart = [more.pop("chart")] if "chart" in more else []
    query = "&".join(f"{key}={value}" for key, value in more.items())
    keys = ",".join(str(one.pk) for one in versions)
    return f"{reverse(f'modelops:{name}', args=chart)}?versions={keys}&{query}"


def test_a_worker_compares_and_the_page_shows_it(admin, pair, rung) -> None:
    first, second = pair
    page = admin.get(address(second, first)).content.decode()
    assert "A worker puts them to the same test cases" in page
    assert rung == [("modelops.compare_versions", first.pk, second.pk)]  # that in service first
    assert admin.get(address(second, first, name="comparison")).status_code == 204
    compare_versions(first.pk, second.pk)
    page = admin.get(address(second, first)).content.decode()
    for text in (
        "each is compared with version 1", "300 cases", "less version 1", "Sex female",
        "Now missed by version 2", "What each catches, version 2 beside the first", "Payment of the test",
        "/the/page/", "for testers", "ms for sixteen",
    ):  # fmt: skip
        assert text in page, text
    assert admin.get(address(first, second, name="comparison")).status_code == 200
    assert len(rung) == 1
    [drawn] = [admin.get(address(first, second, name="compared_curves", chart="roc", finding="a")).json()]
    assert [one["name"] for one in drawn["series"]] == ["Version 1", "Version 2", "by chance"]
    answer = admin.get(address(first, second, name="compared_curves", chart="roc", finding="b"))
    assert answer.status_code == 404


def test_what_is_written_is_what_the_cases_say(pair) -> None:
    compare_versions(*(one.pk for one in pair))
    told = comparisons.comparison_of(list(pair))
    difference = told["versions"][1]["differences"]["auc"]
    assert difference["high"] < 0
    assert told["versions"][1]["subgroups"]["sex_female"]["verdict"] in ("worse", "not_shown")
    assert {speed["ms_1"] for speed in told["speeds"]} == {1.5}


def test_it_is_worked_out_once(pair, monkeypatch) -> None:
    compare_versions(*(one.pk for one in pair))
    monkeypatch.setattr(comparisons, "compare", lambda versions: pytest.fail("again"))
    compare_versions(*(one.pk for one in pair))


def test_a_link_that_is_gone_is_not_shown(admin, pair, monkeypatch) -> None:
    compare_versions(*(one.pk for one in pair))
    assert "/the/page/" in admin.get(address(*pair)).content.decode()
    monkeypatch.setattr(cases, "KNOWN", {})
    page = admin.get(address(*pair)).content.decode()
    assert "/the/page/" not in page
    assert "Payment of the test" in page


def test_a_version_without_test_scores_is_named_and_no_worker_asked(admin, pair, make_version, rung) -> None:
    old = make_version()
    page = " ".join(admin.get(address(pair[0], old)).content.decode().split())
    assert "Version 3 kept no test scores" in page
    assert "As each was measured" in page
    assert rung == []


def test_a_damaged_artefact_is_told_and_tried_again_when_asked(admin, pair, rung) -> None:
    from apps.modelops.common.selectors import artefact_dir

    (artefact_dir(pair[1]) / FILE).write_bytes(b"else")
    compare_versions(*(one.pk for one in pair))
    assert "artefact_hash_mismatch" in json.dumps(comparisons.comparison_of(list(pair)))
    page = admin.get(address(*pair, name="comparison")).content.decode()
    assert "They could not be compared" in page
    admin.get(address(*pair))
    assert len(rung) == 1


def test_versions_that_share_no_case_say_so(admin, make_version) -> None:
    other = kept(SCORES, cases=[f"other {i}" for i in range(300)])
    both = make_version(files=kept(SCORES)), make_version(files=other)
    compare_versions(*(one.pk for one in both))
    assert "No test case is in the tests of all of them" in admin.get(address(*both)).content.decode()


def test_two_to_four_of_the_sites_own(admin, stranger, pair, make_version) -> None:
    five = [*pair, *(make_version() for _ in range(3))]
    for asked, status in ((pair[:1], 422), (five, 422), (five[:4], 200)):
        assert admin.get(address(*asked)).status_code == status
    for query in ("x", "1,-2", "9" * 30, ",".join("123456789")):
        assert admin.get(f"{reverse('modelops:compare')}?versions={query}").status_code == 422
    for name, more in (("compare", {}), ("comparison", {}), ("compared_curves", {"chart": "roc"})):
        assert stranger.get(address(*pair, name=name, **more)).status_code == 404


def test_ticked_rows_lead_there(admin, pair) -> None:
    page = admin.get(reverse("modelops:index")).content.decode()
    assert page.count('name="versions"') == 2
    keys = "&".join(f"versions={one.pk}" for one in pair)
    assert admin.get(f"{reverse('modelops:compare')}?{keys}").status_code == 200


def test_a_page_of_labels_that_never_differ(admin, make_version) -> None:
    """No positive: no curve, no AUC, and still a page."""
    both = [make_version(files=kept(each, labels=LABELS * 0)) for each in (SCORES, WORSE)]
    compare_versions(*(one.pk for one in both))
    assert admin.get(address(*both)).status_code == 200
