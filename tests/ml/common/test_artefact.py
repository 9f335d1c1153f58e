"""An artefact is what was written, byte for byte, or it is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ml.common.artefact import ArtefactError, npz_bytes, open_artefact, require_golden, write_artefact


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = {"trees.ubj": b"trees", "golden.npz": npz_bytes(x=np.arange(3.0))}
    write_artefact(tmp_path / "a", kind="fraud", files=files, meta={"threshold": 0.5})
    return tmp_path / "a"


def code_of(folder: Path, expected_hash: str | None = None, kind: str | None = None) -> str:
    with pytest.raises(ArtefactError) as caught:
        open_artefact(folder, expected_hash, kind=kind)
    return caught.value.code


def test_it_comes_back_as_written(folder: Path) -> None:
    artefact = open_artefact(folder, kind="fraud")
    assert artefact.meta == {"threshold": 0.5}
    assert artefact.path("trees.ubj").read_bytes() == b"trees"
    assert artefact.golden()["x"].tolist() == [0, 1, 2]
    assert open_artefact(folder, artefact.artefact_hash) == artefact


def test_the_hash_depends_on_content_alone(folder: Path, tmp_path: Path) -> None:
    files = {n: (folder / n).read_bytes() for n in ("golden.npz", "trees.ubj")}
    again = write_artefact(tmp_path / "b", kind="fraud", files=files, meta={"threshold": 0.5})
    assert again == open_artefact(folder).artefact_hash


def test_a_changed_byte_is_refused(folder: Path) -> None:
    (folder / "trees.ubj").write_bytes(b"treez")
    assert code_of(folder) == "hash_mismatch"


def test_a_file_more_or_less_is_refused(folder: Path) -> None:
    (folder / "evil.pkl").write_bytes(b"")
    assert code_of(folder) == "unknown_file"
    (folder / "evil.pkl").unlink()
    (folder / "trees.ubj").unlink()
    assert code_of(folder) == "missing_file"


def test_a_link_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "trees.ubj").rename(tmp_path / "elsewhere")
    (folder / "trees.ubj").symlink_to(tmp_path / "elsewhere")
    assert code_of(folder) == "malformed"


def test_another_manifest_is_refused(folder: Path) -> None:
    written = open_artefact(folder).artefact_hash
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["meta"]["threshold"] = 0.1
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert code_of(folder, written) == "hash_mismatch"
    (folder / "manifest.json").write_text("[]")
    assert code_of(folder) == "malformed"


def test_another_kind_is_refused(folder: Path) -> None:
    assert code_of(folder, kind="radiology") == "wrong_kind"


def test_only_known_files_are_written(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match=r"model\.pt"):
        write_artefact(tmp_path / "c", kind="fraud", files={"model.pt": b""}, meta={})
    assert list(tmp_path.iterdir()) == []


def test_golden_answers_must_agree() -> None:
    require_golden("scores", np.array([0.1]), np.array([0.1 + 1e-7]), atol=1e-5)
    with pytest.raises(ArtefactError) as caught:
        require_golden("scores", np.array([0.1]), np.array([0.2]), atol=1e-5)
    assert caught.value.code == "golden_mismatch"
