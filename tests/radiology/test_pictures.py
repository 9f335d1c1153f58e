"""WADO-RS for people's eyes: rendered films and thumbnails."""

from __future__ import annotations

import io

import pytest
from dicomweb_client.api import DICOMwebClient
from PIL import Image

from apps.audit.models import AuditEvent
from apps.radiology.analysis.services.analyse import analyse_instance
from apps.radiology.api import pictures
from apps.radiology.common.store import picture_path, thumbnail_path
from apps.radiology.models import Instance
from tests.radiology.conftest import as_file, film
from tests.radiology.dicomweb import content, instance_of, parts, series_of, study_of, uids
from tests.radiology.test_wado_frames import frames_of

LEVELS = (study_of, series_of, instance_of)


def opened(picture: bytes) -> Image.Image:
    return Image.open(io.BytesIO(picture))


def test_it_works(ask, decoded, site) -> None:
    data = decoded()
    for level in LEVELS:
        answer = ask(f"{level(data)}/thumbnail", "image/jpeg")
        assert (answer.status_code, answer["Content-Type"]) == (200, "image/jpeg")
        assert (opened(content(answer)).format, opened(content(answer)).size) == ("JPEG", (80, 96))
        answer = ask(f"{level(data)}/rendered")
        assert (answer["Content-Type"], opened(content(answer)).format) == ("image/png", "PNG")
    film_viewed = AuditEvent.objects.filter(action="film.viewed")
    assert film_viewed.count() == 6


def test_a_thumbnail_is_made_once(ask, decoded, site, monkeypatch) -> None:
    data = decoded()
    first = content(ask(f"{instance_of(data)}/thumbnail"))
    assert thumbnail_path(site, Instance.objects.get().file_sha256).read_bytes() == first
    monkeypatch.setattr(pictures, "redraw_apart", lambda *a, **k: pytest.fail("made again"))
    assert content(ask(f"{instance_of(data)}/thumbnail")) == first


@pytest.mark.parametrize("broken", [b"no picture", b"\x89PNG\r\n\x1a\n" + b"\xff" * 200])
def test_a_picture_that_is_none_is_an_answer_and_not_an_error_of_ours(ask, decoded, site, broken) -> None:
    data = decoded()
    picture_path(site, Instance.objects.get().file_sha256).write_bytes(broken)
    answer = ask(f"{instance_of(data)}/thumbnail")
    assert (answer.status_code, answer.json()["code"]) == (406, "film_unreadable")


def test_a_picture_that_is_gone_is_said_to_be_gone(ask, decoded, site) -> None:
    data = decoded()
    picture_path(site, Instance.objects.get().file_sha256).unlink()
    for door in ("rendered", "thumbnail"):
        answer = ask(f"{instance_of(data)}/{door}")
        assert (answer.status_code, answer.json()["code"]) == (503, "film_unavailable")


@pytest.mark.parametrize(
    ("accept", "query", "kind", "size"),
    [
        ("image/jpeg", {}, "JPEG", (80, 96)),
        ("image/*", {}, "PNG", (80, 96)),
        ("image/gif, image/jpeg;q=0.5", {}, "JPEG", (80, 96)),
        ("image/png", {"accept": "image/jpeg"}, "JPEG", (80, 96)),
        ("", {"viewport": "48,48"}, "PNG", (40, 48)),
        ("image/jpeg", {"viewport": "99999,48"}, "JPEG", (40, 48)),
    ],
)
def test_rendered_as_it_is_asked_for(ask, decoded, accept, query, kind, size) -> None:
    data = decoded()
    picture = opened(content(ask(f"{instance_of(data)}/rendered", accept, query)))
    assert (picture.format, picture.size) == (kind, size)


@pytest.mark.parametrize(
    ("accept", "query", "status"),
    [
        ("image/gif", {}, 406),
        ("text/html", {}, 406),
        ("", {"viewport": "a,b"}, 400),
        ("", {"viewport": "0,1"}, 400),
        ("", {"viewport": "1,1,0,0,5,5"}, 400),
        ("", {"window": "40,400,linear"}, 400),
        ("", {"annotation": "patient"}, 400),
    ],
)
def test_what_is_not_rendered_is_refused(ask, decoded, accept, query, status) -> None:
    data = decoded()
    for door in ("rendered", "thumbnail"):
        answer = ask(f"{instance_of(data)}/{door}", accept, query)
        assert answer.status_code == status
        assert answer.json()["code"] in ("not_acceptable", "not_rendered")


def test_several_films_come_in_parts_and_the_analysed_one_stands_for_all(
    ask, decoded, received, judged
) -> None:
    data = decoded()
    analyse_instance(received(as_file(film(StudyInstanceUID=data.StudyInstanceUID, Rows=48, seed=1))).pk)
    answer = ask(f"{study_of(data)}/rendered", 'multipart/related; type="image/jpeg"')
    given = [(kind, opened(one).size) for kind, one in parts(answer)]
    assert sorted(given) == [("image/jpeg", (80, 48)), ("image/jpeg", (80, 96))]


def test_frames_after_the_first_are_rendered_too(ask, received) -> None:
    data, _ = frames_of()
    analyse_instance(received(as_file(data)).pk)
    first, third = (content(ask(f"{instance_of(data)}/frames/{n}/rendered")) for n in (1, 3))
    assert first != third
    assert opened(third).size == (80, 96)
    both = parts(ask(f"{instance_of(data)}/frames/1,3/rendered"))
    assert both == [("image/png", first), ("image/png", third)]
    assert ask(f"{instance_of(data)}/frames/4/rendered").status_code == 404


def test_until_it_is_decoded_there_is_no_picture(ask, take) -> None:
    data = take()
    doors = [f"{level(data)}/{door}" for level in LEVELS for door in ("rendered", "thumbnail")]
    assert {ask(door).status_code for door in doors} == {404}


@pytest.mark.django_db(transaction=True)
def test_another_client_sees_films(web: DICOMwebClient, take) -> None:
    data = take()
    analyse_instance(Instance.objects.get().pk)
    assert opened(web.retrieve_instance_rendered(*uids(data))).format == "PNG"
    jpeg = web.retrieve_instance_rendered(*uids(data), media_types=("image/jpeg",))
    assert opened(jpeg).format == "JPEG"
    assert opened(web.retrieve_series_rendered(*uids(data)[:2], media_types=("image/png",))).format == "PNG"
    [one] = [web.retrieve_instance_frames_rendered(*uids(data), [1], media_types=("image/jpeg",))]
    assert opened(one).size == (80, 96)
