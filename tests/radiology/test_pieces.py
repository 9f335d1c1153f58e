"""A large file in pieces, which goes on where a broken line left it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from apps.core.clock import now
from apps.radiology.common.store import film_path
from apps.radiology.intake.services import pieces
from apps.radiology.intake.services.pieces import clear_uploads, piece_path
from apps.radiology.models import Instance, PieceUpload
from tests.radiology.conftest import film_file
from tests.radiology.test_zips import zipped


def begin(client: Client, size: int, fingerprint: str = "film|1", **more: Any) -> Any:
    form = {"name": "film.dcm", "size": size, "fingerprint": fingerprint, **more}
    return client.post("/radiology/uploads/", form)


def piece(client: Client, url: str, content: bytes, at: int | str) -> Any:
    kind = "application/octet-stream"
    return client.post(
        url, content, content_type=kind, headers={"upload-offset": str(at), "accept": "application/json"}
    )


def test_it_works(radiologist, stored) -> None:
    content = film_file()
    begun = begin(radiologist, len(content))
    assert (begun.status_code, begun.json()["received"]) == (201, 0)
    url = begun.json()["url"]
    assert piece(radiologist, url, content[:5000], 0).json()["received"] == 5000
    # The page was closed; the same file is chosen again.
    assert begin(radiologist, len(content)).json() == {**begun.json(), "received": 5000}
    assert radiologist.get(url).json()["received"] == 5000
    [row] = piece(radiologist, url, content[5000:], 5000).json()["files"]
    assert (row["name"], row["state"]) == ("film.dcm", "queued")
    instance = Instance.objects.get()
    assert film_path(instance.site, instance.file_sha256).read_bytes() == content
    assert stored() == [f"{instance.file_sha256}.dcm"]
    # Who did not hear the end asks again, and is told the same.
    assert radiologist.get(url).json()["files"] == [row]
    assert piece(radiologist, url, content[5000:], 5000).json()["files"] == [row]
    assert begin(radiologist, len(content)).json()["url"] != url


def test_a_piece_that_belongs_elsewhere_is_told_where_it_goes_on(radiologist) -> None:
    content = film_file()
    url = begin(radiologist, len(content)).json()["url"]
    piece(radiologist, url, content[:4000], 0)
    for at in (0, 3999, 9000):
        answer = piece(radiologist, url, content[4000:5000], at)
        assert (answer.status_code, answer.json()["received"]) == (409, 4000)
    assert piece(radiologist, url, content[4000:], 4000).json()["files"][0]["state"] == "queued"


def test_what_a_dead_process_wrote_beyond_is_written_over(radiologist) -> None:
    content = film_file()
    url = begin(radiologist, len(content)).json()["url"]
    piece(radiologist, url, content[:4000], 0)
    with piece_path(PieceUpload.objects.get()).open("ab") as file:
        file.write(b"half a piece that was never counted")
    assert piece(radiologist, url, content[4000:], 4000).json()["files"][0]["state"] == "queued"


def test_where_the_disk_fails_at_the_end_the_end_is_tried_again(radiologist, failing_disk) -> None:
    content = film_file()
    url = begin(radiologist, len(content)).json()["url"]
    with failing_disk():
        assert piece(radiologist, url, content, 0).status_code == 503
    assert radiologist.get(url).json()["received"] == len(content)
    assert piece(radiologist, url, b"", len(content)).json()["files"][0]["state"] == "queued"


def test_each_film_of_a_zip_gets_its_verdict(radiologist) -> None:
    content = zipped(**{"a.dcm": film_file(), "b.dcm": film_file(PixelData=None)})
    url = begin(radiologist, len(content), name="all.zip").json()["url"]
    rows = piece(radiologist, url, content, 0).json()["files"]
    assert [row["state"] for row in rows] == ["queued", "refused"]


def test_limits(radiologist, settings, monkeypatch) -> None:
    monkeypatch.setattr(pieces, "UNFINISHED_MAX", 2)
    settings.LYNCEUS_UPLOAD_MAX_MB = 1
    assert begin(radiologist, 1024**2 + 1).status_code == 413
    url = begin(radiologist, 10).json()["url"]
    assert piece(radiologist, url, bytes(11), 0).status_code == 413
    assert piece(radiologist, url, b"x", "-1").status_code == 422
    assert piece(radiologist, url, b"x", "").status_code == 422
    begin(radiologist, 10, "another")
    assert begin(radiologist, 10, "a third").status_code == 429
    for bad in ({"size": 0}, {"size": "x"}, {"name": ""}, {"fingerprint": "x" * 201}):
        form = {"name": "a", "size": 1, "fingerprint": "f", **bad}
        assert radiologist.post("/radiology/uploads/", form).status_code == 422


def test_a_piece_larger_than_may_be_is_refused_unread(radiologist, monkeypatch, stored) -> None:
    monkeypatch.setattr("apps.radiology.intake.piece_views.PIECE_BYTES", 100)
    url = begin(radiologist, 1000).json()["url"]
    assert piece(radiologist, url, bytes(101), 0).status_code == 413
    assert radiologist.get(url).json()["received"] == 0


def test_an_upload_is_its_beginners_alone(radiologist, make_user, site) -> None:
    from apps.accounts.models import User

    url = begin(radiologist, 10).json()["url"]
    other = Client()
    other.force_login(User.objects.create_user("b@example.org", "x", site=site, role="radiologist"))
    assert other.get(url).status_code == 404
    assert piece(other, url, b"x", 0).status_code == 404
    assert begin(other, 10).json()["url"] != url


def test_a_session_needs_its_csrf_token(make_user) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user("radiologist"))
    assert begin(client, 10).status_code == 403


def test_what_nobody_goes_on_with_is_forgotten(radiologist) -> None:
    url = begin(radiologist, 10).json()["url"]
    path = piece_path(PieceUpload.objects.get())
    assert clear_uploads() == 0
    PieceUpload.objects.update(touched_at=now() - timedelta(days=2))
    assert clear_uploads() == 1
    assert not path.exists()
    assert radiologist.get(url).status_code == 404


@pytest.mark.parametrize("gone", [True, False])
def test_a_file_that_is_gone_begins_anew(radiologist, gone) -> None:
    url = begin(radiologist, 10).json()["url"]
    if gone:
        piece_path(PieceUpload.objects.get()).unlink()
    assert (begin(radiologist, 10).json()["url"] == url) is not gone
