"""What a study's page gives the film viewer: where its films lie, which priors there are, what comes next."""

from __future__ import annotations

import re

import pytest
from pydicom.uid import generate_uid

from apps.radiology.analysis.services.analyse import analyse_instance
from apps.radiology.models import Instance


@pytest.fixture
def shown(received):
    """A film that can be seen; each of a study of its own."""

    def take(**attributes) -> Instance:
        uid = generate_uid()
        instance = received(StudyInstanceUID=uid, **attributes)
        analyse_instance(instance.pk)
        instance.refresh_from_db()
        return instance

    return take


@pytest.fixture
def page_of(radiologist):
    def get(instance: Instance) -> str:
        return radiologist.get(f"/radiology/studies/{instance.study.public_id}/").content.decode()

    return get


def address(instance: Instance) -> str:
    study = instance.study.StudyInstanceUID
    series = instance.SeriesInstanceUID
    return f"/dicom-web/studies/{study}/series/{series}/instances/{instance.SOPInstanceUID}"


def priors(page: str) -> list[str]:
    return re.findall(r'<option value="(/dicom-web/[^"]+)"', page)


def test_it_works(shown, page_of) -> None:
    """Earlier studies of the same patient, the latest first; their films are at the viewer's own doors."""
    oldest, older = shown(StudyDate="20240105"), shown(StudyDate="20250105")
    film = shown(StudyDate="20260105")
    page = page_of(film)
    assert f'data-film="{address(film)}"' in page
    assert f'src="{address(film)}/thumbnail"' in page
    assert priors(page) == [address(older), address(oldest)]


def test_no_later_study_and_no_other_patient_is_a_prior(shown, page_of) -> None:
    film = shown(StudyDate="20260105")
    shown(StudyDate="20260301")
    shown(StudyDate="20250101", PatientID="0815")
    shown(StudyDate="20250101", PatientID="")
    assert priors(page_of(film)) == []


def test_what_cannot_be_shown_is_no_prior(shown, page_of, received) -> None:
    film = shown(StudyDate="20260105")
    received(StudyDate="20250105")  # not decoded yet
    assert priors(page_of(film)) == []


def test_the_film_of_the_next_study_is_named_for_fetching_ahead(shown, page_of) -> None:
    film, following = shown(PatientID="1"), shown(PatientID="2")
    assert f'data-next="{address(following)}"' in page_of(film)
    assert 'data-next=""' in page_of(following)


def test_what_the_page_names_opens_with_the_session_alone(shown, page_of, radiologist) -> None:
    film = shown()
    page_of(film)
    for door in ("metadata", "frames/1", "thumbnail"):
        assert radiologist.get(f"{address(film)}/{door}").status_code == 200, door
