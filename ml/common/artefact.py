"""A trained model on disk: a folder addressed by its content, never a pickle.

`manifest.json` names every other file with its SHA-256 and size; the SHA-256 of the manifest itself is the
artefact's hash. A folder that holds anything more, less or else than its manifest says is refused.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

FORMAT = 1
MANIFEST = "manifest.json"
ALLOWED = frozenset(
    {
        "weights.safetensors", "trees.ubj", "model.onnx", "golden.npz", "gate.npz", "heldout.npz",
        "drift.npz", "test_scores.npz", "model.int8.onnx", "golden.int8.npz", "gate.int8.npz",
    }
)  # fmt: skip
MAX_FILE_BYTES = 2 * 1024**3
MAX_MANIFEST_BYTES = 4 * 1024**2
Array = npt.NDArray[Any]


class ArtefactError(Exception):
    """The folder cannot be trusted. `code` is one of missing, malformed, unknown_file, missing_file,
    hash_mismatch, wrong_kind, old_format, unknown_variant, golden_mismatch."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Artefact:
    """A folder whose every byte was checked when it was opened."""

    folder: Path
    kind: str
    meta: Mapping[str, Any]
    artefact_hash: str

    def path(self, name: str) -> Path:
        path = self.folder / name
        if name not in ALLOWED or not path.is_file():
            raise ArtefactError("missing_file", f"The artefact has no {name}.")
        return path

    def golden(self) -> dict[str, Array]:
        """Inputs and the outputs they gave when the model was made."""
        return self.arrays("golden.npz")

    def arrays(self, name: str) -> dict[str, Array]:
        """The content of an .npz file."""
        with np.load(self.path(name), allow_pickle=False) as arrays:
            return {each: arrays[each] for each in arrays.files}


def npz_bytes(**arrays: Array) -> bytes:
    """The content of an .npz file, such as golden.npz; never a pickle."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def require_golden(name: str, got: Array, wanted: Array, *, atol: float) -> None:
    """Refuse a model that does not answer its golden inputs as it did when it was made."""
    if got.shape != wanted.shape or not np.allclose(got, wanted, atol=atol, rtol=0):
        raise ArtefactError(
            "golden_mismatch", f"The model answers its golden {name} otherwise than recorded."
        )


def write_artefact(folder: Path, *, kind: str, files: Mapping[str, bytes], meta: Mapping[str, Any]) -> str:
    """Write the folder whole or not at all, and return its hash. `meta` must be JSON-serialisable."""
    if unknown := set(files) - ALLOWED:
        raise ArtefactError("unknown_file", f"An artefact may not hold {', '.join(sorted(unknown))}.")
    listed = {n: {"sha256": _sha256(b), "bytes": len(b)} for n, b in sorted(files.items())}
    manifest = {"format": FORMAT, "kind": kind, "files": listed, "meta": dict(meta)}
    manifest_bytes = json.dumps(manifest, sort_keys=True, indent=1, allow_nan=False).encode()
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".artefact-", dir=folder.parent))
    try:
        for name, content in {**files, MANIFEST: manifest_bytes}.items():
            _write_durably(temporary / name, content)
        temporary.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(temporary, folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return _sha256(manifest_bytes)


def open_artefact(folder: Path, expected_hash: str | None = None, *, kind: str | None = None) -> Artefact:
    """Recompute every hash. Raises ArtefactError if anything differs from what was written."""
    manifest_bytes = _manifest_bytes(folder)
    artefact_hash = _sha256(manifest_bytes)
    if expected_hash is not None and artefact_hash != expected_hash:
        raise ArtefactError("hash_mismatch", "The manifest is not the one this version was registered with.")
    manifest = _parse(manifest_bytes)
    _check_names({p.name for p in folder.iterdir()} - {MANIFEST}, set(manifest["files"]))
    for name, entry in manifest["files"].items():
        if _file_sha256(folder / name) != entry["sha256"]:
            raise ArtefactError("hash_mismatch", f"{name} was changed after it was written.")
    if kind is not None and manifest["kind"] != kind:
        raise ArtefactError("wrong_kind", f"This is a {manifest['kind']} model, not a {kind} model.")
    return Artefact(folder, manifest["kind"], manifest["meta"], artefact_hash)


def read_manifest(folder: Path, expected_hash: str) -> dict[str, Any]:
    """The manifest alone (`files`, `kind`, `meta`), checked against the artefact's hash; no other file is
    looked at. Raises ArtefactError as `open_artefact` does."""
    manifest_bytes = _manifest_bytes(folder)
    if _sha256(manifest_bytes) != expected_hash:
        raise ArtefactError("hash_mismatch", "The manifest is not the one this version was registered with.")
    return _parse(manifest_bytes)


def _manifest_bytes(folder: Path) -> bytes:
    path = folder / MANIFEST
    if path.is_symlink() or not path.is_file():
        raise ArtefactError("missing", "There is no manifest.json in this folder.")
    if path.stat().st_size > MAX_MANIFEST_BYTES:
        raise ArtefactError("malformed", "manifest.json is too large.")
    return path.read_bytes()


def _parse(manifest_bytes: bytes) -> dict[str, Any]:
    try:
        manifest = json.loads(manifest_bytes)
        well_formed = (
            manifest["format"] == FORMAT
            and isinstance(manifest["kind"], str)
            and isinstance(manifest["meta"], dict)
            and all(isinstance(entry["sha256"], str) for entry in manifest["files"].values())
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtefactError("malformed", "manifest.json is not an artefact's manifest.") from error
    if not well_formed:
        raise ArtefactError("malformed", f"manifest.json is not of format {FORMAT}.")
    return dict(manifest)


def _check_names(present: set[str], listed: set[str]) -> None:
    if unknown := (present - listed) | (listed - ALLOWED):
        raise ArtefactError("unknown_file", f"The manifest does not allow {', '.join(sorted(unknown))}.")
    if missing := listed - present:
        raise ArtefactError("missing_file", f"The folder lacks {', '.join(sorted(missing))}.")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _file_sha256(path: Path) -> str:
    if path.is_symlink() or path.stat().st_size > MAX_FILE_BYTES:
        raise ArtefactError("malformed", f"{path.name} is a link or too large.")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
