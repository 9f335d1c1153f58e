"""A zip of films: each gets its own answer, and none may cost more than a film."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

import pytest

from apps.radiology.intake.services import uploads
from apps.radiology.models import Study
from tests.radiology.conftest import film_file

NO_PIXELS = {"PixelData": None}


def zipped(method: int = zipfile.ZIP_DEFLATED, **members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def test_a_zip_of_everything_gets_an_answer_for_each(send) -> None:
    content = zipped(
        **{
            "a/chest.dcm": film_file(),
            "a/DICOMDIR": b"x",
            "a/.DS_Store": b"x",
            "__MACOSX/a/chest.dcm": b"x",
            "a/notes.txt": b"a note",
            "b/cut.dcm": film_file()[:3000],
            "b/report.dcm": film_file(**NO_PIXELS),
            "inner.zip": zipped(x=b"x"),
        }
    )
    rows = {row["name"]: row.get("code", row["state"]) for row in send(content, name="all.zip")}
    assert rows == {
        "chest.dcm": "queued",
        "notes.txt": "not_dicom",
        "cut.dcm": "truncated",
        "report.dcm": "no_pixels",
        "inner.zip": "not_dicom",
    }


def test_a_damaged_member_costs_only_itself(send) -> None:
    first, second = film_file(), film_file()
    content = bytearray(zipped(zipfile.ZIP_STORED, one=first, two=second))
    content[content.find(first) + 4000] ^= 0xFF
    assert [row.get("code", row["state"]) for row in send(bytes(content))] == ["bad_zip", "queued"]


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_rare_ways_to_pack_are_not_taken(send, method) -> None:
    assert [row["code"] for row in send(zipped(method, one=film_file()))] == ["bad_zip"]


def test_a_zip_cut_in_the_middle_or_empty_says_so(send) -> None:
    content = zipped(one=film_file())
    assert [row["code"] for row in send(content[: len(content) // 2])] == ["bad_zip"]
    assert [row["code"] for row in send(zipped())] == ["empty_zip"]


def test_a_deflate_stream_of_nonsense_is_a_damaged_member(send) -> None:
    content = bytearray(zipped(one=film_file()))
    start = 30 + len("one")
    content[start : start + 64] = bytes([0x06]) + b"\xff" * 63
    with pytest.raises(zlib.error):
        zlib.decompress(bytes(content[start : start + 64]), -15)
    assert [row["code"] for row in send(bytes(content))] == ["bad_zip"]


def test_a_zip_bomb_is_stopped_at_the_limit(send, settings, stored) -> None:
    settings.LYNCEUS_DICOM_FILE_MAX_MB = 1
    content = zipped(zeros=bytes(8 * 1024**2), film=film_file())
    assert len(content) < 50_000
    assert [row.get("code", row["state"]) for row in send(content)] == ["bomb", "queued"]
    assert len(stored()) == 1


def test_all_members_together_are_bounded_too(send, settings) -> None:
    settings.LYNCEUS_UPLOAD_MAX_MB, settings.LYNCEUS_DICOM_FILE_MAX_MB = 1, 3
    content = zipped(a=bytes(3 * 1024**2), b=bytes(3 * 1024**2), c=film_file())
    assert [row["code"] for row in send(content)] == ["not_dicom", "bomb", "bomb"]


def test_the_zips_of_one_request_share_one_budget(send, settings) -> None:
    settings.LYNCEUS_UPLOAD_MAX_MB, settings.LYNCEUS_DICOM_FILE_MAX_MB = 1, 3
    zips = [zipped(a=bytes(3 * 1024**2)) for _ in range(3)]
    assert [row["code"] for row in send(*zips)] == ["not_dicom", "bomb", "bomb"]
    assert [row["code"] for one in zips for row in send(one)] == ["not_dicom"] * 3


def test_a_zip_of_too_many_files_is_refused_whole(send, monkeypatch) -> None:
    monkeypatch.setattr(uploads, "ZIP_MEMBERS_MAX", 2)
    content = zipped(a=film_file(), b=film_file(), c=film_file())
    assert [row["code"] for row in send(content)] == ["too_many_files"]
    assert not Study.objects.exists()


def test_a_directory_that_claims_much_is_not_read(send, monkeypatch) -> None:
    content = zipped(**{f"file-{n}": b"" for n in range(100)})
    (length,) = struct.unpack_from("<I", content, len(content) - 10)
    monkeypatch.setattr(uploads, "ZIP_READ_MAX", length - 1)
    assert [row["code"] for row in send(content)] == ["bad_zip"]
    monkeypatch.setattr(uploads, "ZIP_READ_MAX", length)
    assert len(send(content)) == 100
