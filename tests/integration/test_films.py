"""A film by each program's door, to its findings, through every real part."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.running import Running, eventually


def films(demo: Running) -> list[Path]:
    return sorted((demo.var / "films-to-send").glob("*.dcm"))[18:]


def analysed(demo: Running, film: Path) -> dict:
    return eventually(
        lambda: (study := demo.study_of(film))["status"] == "analysed" and study, of="the analysis"
    )


def test_it_works(demo: Running) -> None:
    """C-STORE: success, then findings with probabilities and operating points."""
    film = films(demo)[0]
    assert demo.store_by_dimse(film) == 0
    study = analysed(demo, film)
    assert study["model_version"] == 1 and study["synthetic"]
    assert study["findings"] and study["instances"][0]["findings"]
    for finding in study["findings"]:
        point = finding["operating_point"]
        assert 0 <= finding["probability"] <= 1 and (point is None or 0 < point < 1)
        assert finding["positive"] == (point is not None and finding["probability"] >= point)


def test_stow_answers_with_the_studys_url_and_the_same_again_changes_nothing(demo: Running) -> None:
    film = films(demo)[1]
    first = demo.store_by_http([film])
    assert first.status_code == 200
    [url] = first.json()["00081190"]["Value"]
    assert url.startswith(demo.facts["dicomweb_url"] + "/studies/")
    before = analysed(demo, film)
    assert demo.store_by_http([film]).status_code == 200
    assert demo.study_of(film) == before


@pytest.mark.parametrize(
    ("content", "status"), [(b"not a film", 415), (b"\0" * 128 + b"DICM" + b"\xff" * 200, 415)]
)
def test_what_is_no_film_is_refused_and_the_worker_lives(demo: Running, tmp_path, content, status) -> None:
    bad = tmp_path / "bad.dcm"
    bad.write_bytes(content)
    assert demo.store_by_http([bad]).status_code == status
    assert demo.store_by_dimse(films(demo)[2]) == 0
    analysed(demo, films(demo)[2])
