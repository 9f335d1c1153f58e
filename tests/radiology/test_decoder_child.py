"""The child that decodes: its answers are its own film's, and are not believed unseen."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from ml.radiology.contracts import DicomRefused
from ml.radiology.isolation import IsolatedDecoder
from ml.radiology.parsing import Limits
from tests.radiology.conftest import film_file

MIB = 1024**2


@pytest.fixture
def films(tmp_path):
    paths = [tmp_path / "first.dcm", tmp_path / "second.dcm"]
    for seed, path in enumerate(paths):
        path.write_bytes(film_file(seed=seed))
    return paths


def interrupted_then_second(films: list[Any], monkeypatch: Any) -> tuple[str, str]:
    """The hash given for the second film after the first's decoding was interrupted, and its true one."""
    decoder = IsolatedDecoder(Limits(), memory_bytes=1024 * MIB, timeout_s=60)
    true = decoder.decode(films[1]).image.pixel_sha256
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(decoder, "_read_line", lambda deadline: (_ for _ in ()).throw(KeyboardInterrupt))
        decoder.decode(films[0])
    told = decoder.decode(films[1]).image.pixel_sha256
    decoder.close()
    return told, true


def test_an_interrupted_answer_is_never_taken_for_the_next_film(films, monkeypatch) -> None:
    told, true = interrupted_then_second(films, monkeypatch)
    assert told == true


def test_without_ending_the_child_films_would_be_mixed_up(films, monkeypatch) -> None:
    real_end = IsolatedDecoder._end
    with monkeypatch.context() as patch:
        patch.setattr(IsolatedDecoder, "_end", lambda self: None if self._child else real_end(self))
        patch.setattr(IsolatedDecoder, "close", real_end)
        told, true = interrupted_then_second(films, patch)
    assert told != true


@pytest.mark.parametrize(
    "answer",
    [
        b'{"rows": 100000, "columns": 100000, "pixel_sha256": "", "picture_bytes": 1}\n',
        b'{"rows": 1, "columns": 1, "pixel_sha256": "", "picture_bytes": 99999999999}\n',
        b'{"rows": "1"}\n',
        b"[]\n",
        b"nonsense\n",
    ],
)
def test_a_child_that_lies_is_not_believed(films, monkeypatch, answer) -> None:
    decoder = IsolatedDecoder(Limits(), memory_bytes=1024 * MIB, timeout_s=60)
    monkeypatch.setattr(decoder, "_read_line", lambda deadline: answer)
    with pytest.raises(DicomRefused) as caught:
        decoder.decode(films[0])
    assert caught.value.code == "undecodable"
    assert decoder._child is None


def test_the_child_tells_a_failing_disk_from_a_broken_film(tmp_path) -> None:
    decoder = IsolatedDecoder(Limits(), memory_bytes=1024 * MIB, timeout_s=30)
    try:
        with pytest.raises(OSError, match="from the disk") as failed:
            decoder.decode(tmp_path / "gone.dcm")
        assert failed.value.errno == errno.ENOENT
        (tmp_path / "broken.dcm").write_bytes(b"no film" * 99)
        with pytest.raises(DicomRefused):
            decoder.decode(tmp_path / "broken.dcm")
    finally:
        decoder.close()
