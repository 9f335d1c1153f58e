"""Boxes and contours of findings: kept like marks, held to the films, nobody else's before the commit."""

from __future__ import annotations

import json
from typing import Any

import pytest

from apps.core.clock import now
from apps.radiology.models import Mark, Read, Region, RejectionNote, Study
from apps.radiology.reading.regions import REGIONS_MAX, drawn_by, drawn_from
from apps.radiology.studies.reads import Said, said_by
from tests.radiology.reads.conftest import page_of

COLUMNS, ROWS = 80, 96  # of the films made here


def box(study: Study, *points: list[float], **changes: Any) -> dict[str, Any]:
    film = str(study.instances.get().public_id)
    given = {"label": "Effusion", "instance": film, "frame": 1, "shape": "box"}
    return {**given, "points": list(points) or [[10, 20], [30.5, 41.2]], **changes}


def sent(*regions: dict[str, Any]) -> dict[str, str]:
    return {"regions": json.dumps(regions)}


def test_it_works(radiologist, study, press) -> None:
    """Drawn, there when the draft is opened again, taken away, drawn anew after the reveal, and signed."""
    press(study)
    contour = box(study, [0, 0], [COLUMNS, 0], [40, ROWS], shape="contour", label="Nodule")
    assert press(study, "keep", **sent(box(study), contour)).status_code == 200
    read = Read.objects.get()
    assert said_by(read) == {"Effusion": Said("present"), "Nodule": Said("present")}
    assert "[30.5, 41.2]" in page_of(radiologist, study)
    press(study, "commit", **sent(box(study)))
    press(study, "sign", **sent(box(study), contour))
    assert [one.label for one in drawn_by(read)] == ["Effusion", "Nodule"]
    assert [one.label for one in drawn_by(read, blind=True)] == ["Effusion"]
    rows = Region.objects.order_by("pk").values_list("label", "taken_away", "after_reveal")
    assert list(rows) == [
        ("Effusion", False, False),
        ("Nodule", False, False),
        ("Nodule", True, False),
        ("Nodule", False, True),
    ]
    assert "[30.5, 41.2]" in page_of(radiologist, study)
    assert press(study, "keep", **sent()).status_code == 409


def test_a_verdict_given_stands_and_a_mark_of_nothing_is_present(study, press) -> None:
    press(study)
    press(study, "keep", **sent(box(study)), **{"verdict-0": "unsure", "side-0": "L"})
    assert said_by(Read.objects.get()) == {"Effusion": Said("unsure", "L")}
    press(study, "keep", **sent(box(study), box(study, label="Nodule")), **{"verdict-0": "unsure"})
    assert said_by(Read.objects.get())["Nodule"] == Said("present")


def test_what_is_sent_again_adds_nothing_and_a_form_without_regions_takes_none_away(study, press) -> None:
    press(study)
    press(study, "keep", **sent(box(study)))
    press(study, "keep", **sent(box(study), box(study)))
    press(study, "keep", text="No viewer on this page.")
    assert len(drawn_by(Read.objects.get())) == Region.objects.count() == 1


WRONG: dict[str, dict[str, Any]] = {
    "beyond the right edge": {"points": [[10, 20], [COLUMNS + 0.1, 41]]},
    "below the film": {"points": [[10, 20], [30, ROWS + 1]]},
    "before its first pixel": {"points": [[-0.1, 20], [30, 41]]},
    "no number": {"points": [["nan", 20], [30, 41]]},
    "endless": {"points": [[1e400, 20], [30, 41]]},
    "too large for a number": {"points": [[10**400, 20], [30, 41]]},
    "a corner": {"points": [[10, 20]]},
    "without an area": {"points": [[10, 20], [10, 41]]},
    "turned round": {"points": [[30, 41], [10, 20]]},
    "three corners": {"points": [[10, 20], [30, 41], [50, 60]]},
    "a contour of two points": {"shape": "contour"},
    "a contour on one line": {"shape": "contour", "points": [[1, 1], [2, 1], [3, 1]]},
    "too many points": {"shape": "contour", "points": [[x % 80, x % 90] for x in range(201)]},
    "another shape": {"shape": "star"},
    "no frame": {"frame": 2},
    "half a frame": {"frame": True},
    "no film of the study": {"instance": "0" * 32},
    "no finding asked for": {"label": "Fracture"},
    "no label": {"label": None},
}


@pytest.mark.parametrize("changes", WRONG.values(), ids=WRONG)
def test_what_does_not_lie_on_the_film_is_refused_and_nothing_is_kept(study, press, changes) -> None:
    press(study)
    refused = press(study, "keep", text="Draft.", **sent(box(study), {**box(study), **changes}))
    assert refused.status_code == 422
    assert not Region.objects.exists()
    assert not Mark.objects.exists()
    assert Read.objects.get().text == ""


@pytest.mark.parametrize("text", ["", "{", "null", "7", '"x"', "[7]", "[[]]", "[" * 100_000, "[]" * 600_000])
def test_what_is_no_list_of_regions_is_refused(study, press, text) -> None:
    press(study)
    assert press(study, "keep", regions=text).status_code == 422


def test_there_is_an_end_to_what_is_drawn(study, press) -> None:
    press(study)
    many = [box(study, [0, 0], [n + 1, 9]) for n in range(REGIONS_MAX + 1)]
    assert press(study, "keep", **sent(*many[:-1])).status_code == 200
    assert press(study, "keep", **sent(*many)).status_code == 422


def test_without_the_guard_a_region_would_lie_beside_the_film(study, press, monkeypatch) -> None:
    monkeypatch.setattr("apps.radiology.reading.regions._fits", lambda one, film: True)
    press(study)
    assert press(study, "keep", **sent(box(study, [10, 20], [9000, 41]))).status_code == 200
    assert drawn_by(Read.objects.get())[0].points[1] == (9000, 41)


def test_a_region_outlives_its_film(study, press) -> None:
    """Its film is taken out of use while the read is open: what stands is kept, and can be taken away."""
    press(study)
    kept = sent(box(study))
    press(study, "keep", **kept)
    note = RejectionNote.objects.create(
        site=study.site, SOPInstanceUID="1.2.9", code="113001", file_sha256="", content_sha256="", sender="x",
        received_at=now(),
    )  # fmt: skip
    study.instances.update(rejected_by=note)
    assert press(study, "keep", **kept).status_code == 200
    assert press(study, "keep", **sent(box(study, [1, 2], [3, 4]))).status_code == 422
    assert press(study, "keep", **sent()).status_code == 200
    assert drawn_by(Read.objects.get()) == []


def test_nobody_elses_regions_are_shown(radiologist, study, press, other) -> None:
    press(study)
    press(study, "keep", **sent(box(study)))
    press(study, "release")
    door = f"/radiology/studies/{study.public_id}/read/"
    other.post(door)
    other.post(f"{door}keep/", sent(box(study, [1, 2], [3.5, 4])))
    assert "[3.5, 4.0]" in page_of(other, study)
    assert "[30.5, 41.2]" not in page_of(other, study)
    assert "[3.5, 4.0]" not in page_of(radiologist, study)


def test_the_page_sends_back_what_it_was_given(study, press) -> None:
    press(study)
    press(study, "keep", **sent(box(study)))
    [one] = drawn_by(Read.objects.get())
    assert drawn_from(json.dumps([one.plain()])) == [one]
