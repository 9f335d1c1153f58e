"""Labelled films into an immutable dataset: read within limits, shrunk, split by patient, hashed.

The table has `file`, `patient_id` and a column for each finding (1 present, 0 absent, blank or -1 unknown);
`split` (train, val, test, gate or blank) is known too, and every other column (age, sex, view) is kept as
metadata.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.common.folders import new_folder
from ml.common.gate import LOCKED
from ml.radiology.contracts import DecodedImage
from ml.radiology.likeness import perceptual_hash
from ml.radiology.parsing import Limits
from ml.radiology.reader_labels import told_of_weights
from ml.radiology.reading import check_name, read_films
from ml.radiology.splits import STRENGTH, Dealing, check_given, split
from ml.radiology.tallies import tally_likeness, tally_parts
from ml.radiology.transforms import FROZEN_SIDE, shrink

MAX_ROWS = 2_000_000
OWN = ("file", "patient_id", "split")
# Metadata under names of their own; any other column keeps the name it has.
KNOWN = (*OWN, "age", "sex", "view")
MAX_TABLE_BYTES = 512 * 1024**2
VALUES = {"1": 1.0, "1.0": 1.0, "0": 0.0, "0.0": 0.0, "": np.nan, "-1": np.nan, "-1.0": np.nan}
Tell = Callable[[int, int], None]
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class FrozenFilms:
    """What was (or, in a dry run, would be) frozen. `skipped` counts films left out by reason, `parts` what
    each part holds; `provenance` says whose the labels are."""

    n: int
    n_patients: int
    n_duplicates: int
    findings: Mapping[str, Mapping[str, int]]
    splits: Mapping[str, int]
    skipped: Mapping[str, int]
    parts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    near_duplicates: Mapping[str, int] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    films_sha256: str = ""
    pixels_sha256: str = ""


@dataclass(frozen=True, slots=True)
class Dataset:
    """A frozen dataset, opened. `labels` is float32 (n, findings), NaN where unknown; `weights` float32 (n,)
    how many films each stands for; `places` (n, 3) is each film's offset, rows and columns in `pixels`."""

    table: pd.DataFrame
    labels: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32]
    findings: tuple[str, ...]
    manifest: Mapping[str, Any]
    places: npt.NDArray[np.int64]
    pixels: Bytes

    def film(self, row: int) -> Bytes:
        """uint8 (rows, columns)."""
        start, rows, columns = (int(value) for value in self.places[row])
        return self.pixels[start : start + rows * columns].reshape(rows, columns)

    @property
    def taught_rows(self) -> npt.NDArray[np.intp]:
        return np.flatnonzero(self.table["split"] != LOCKED)

    def taught(self) -> Dataset:
        """What a trainer may look at: all but the locked part."""
        return self.only(self.taught_rows)

    def only(self, rows: npt.NDArray[np.intp]) -> Dataset:
        """These films alone. Their pixels stay where they are."""
        return replace(
            self, table=self.table.iloc[rows].reset_index(drop=True), labels=self.labels[rows],
            weights=self.weights[rows], places=self.places[rows],
        )  # fmt: skip


def freeze_images(
    images: Path, labels_csv: Path, findings: list[str], out_dir: Path, name: str,
    *, dealing: Dealing | None = None, tell: Tell | None = None, rejected: frozenset[str] = frozenset(),
    weights: Mapping[str, float] | None = None, provenance: Mapping[str, Any] | None = None,
    base: Path | None = None,
) -> FrozenFilms:  # fmt: skip
    """Write the immutable dataset folder, without the SOPInstanceUIDs in `rejected`. `weights` by file says
    how many films each stands for; without it, whatever columns the table has, each stands for itself.
    `provenance`: whose the labels are, where it is not the table alone that says them. `base`: an earlier
    dataset whose other films come too, each standing for as many as it did there.

    Raises ValueError for a table or images that do not fit, FileExistsError for a folder that is there."""
    table, names = read_table(labels_csv, findings)
    with new_folder(out_dir) as folder:
        with (folder / "pixels.bin").open("wb") as file:
            table, skipped = _collect(images, table, file, tell, rejected)
            if weights is not None:
                table["weight"] = table["file"].map(weights).astype(np.float32)
            if base is not None:
                table, names = _join(table, names, load_frozen(base), file)
        table["split"] = _split(table, dealing)
        about: dict[str, Any] = {"domain": "radiology", "name": name, "labels": names}
        if "weight" in table:
            about["weights"] = told_of_weights(list(table["weight"]))
        table.to_parquet(folder / "films.parquet", index=False)
        hashes = {f"{part}_sha256": _sha256(folder / file) for part, file in _FILES.items()}
        whose = provenance or {"source": "imported table", "table SHA-256": _sha256(labels_csv)}
        frozen = _summary(table, names, skipped, whose, hashes)
        manifest = json.dumps({**about, "side": FROZEN_SIDE, **asdict(frozen)}, sort_keys=True, indent=1)
        (folder / "manifest.json").write_text(manifest)
    return frozen


def check_images(
    images: Path, labels_csv: Path, findings: list[str],
    *, dealing: Dealing | None = None, tell: Tell | None = None, rejected: frozenset[str] = frozenset(),
) -> FrozenFilms:  # fmt: skip
    """All that `freeze_images` would do, but writing. Raises as it does."""
    table, names = read_table(labels_csv, findings)
    table, skipped = _collect(images, table, None, tell, rejected)
    table["split"] = _split(table, dealing)
    return _summary(table, names, skipped, {}, {})


def load_frozen(folder: Path) -> Dataset:
    """The dataset, after its hashes were checked. Raises ValueError if it changed."""
    manifest = json.loads((folder / "manifest.json").read_text())
    for part, file in _FILES.items():
        if _sha256(folder / file) != manifest[f"{part}_sha256"]:
            raise ValueError("The dataset's films are not what was frozen: import them again.")
    table = pd.read_parquet(folder / "films.parquet")
    names = tuple(manifest["labels"])
    labels = table[[f"finding:{name}" for name in names]].to_numpy(np.float32)
    alike = np.ones(len(table), np.float32)
    weights = table["weight"].to_numpy(np.float32) if "weight" in table else alike
    places = table[["offset", "rows", "columns"]].to_numpy(np.int64)
    pixels = np.memmap(folder / "pixels.bin", np.uint8, "r")
    return Dataset(table, labels, weights, names, manifest, places, pixels)


def cases_of(folder: Path) -> pd.DataFrame:
    """For a comparison of two datasets: a row a film (of exact copies one) with `case`, `part`, and a column
    a finding, 1, 0 or NaN."""
    table = pd.read_parquet(folder / "films.parquet").drop_duplicates("pixel_sha256")
    findings = [str(column) for column in table if str(column).startswith("finding:")]
    cases = table[["pixel_sha256", "split", *findings]]
    names = {one: one.removeprefix("finding:") for one in findings}
    return cases.rename(columns={"pixel_sha256": "case", "split": "part", **names})


def read_table(labels_csv: Path, findings: list[str]) -> tuple[pd.DataFrame, list[str]]:
    """The table and its findings under their own names. Raises ValueError with a sentence."""
    if labels_csv.stat().st_size > MAX_TABLE_BYTES:
        raise ValueError(f"The table is larger than {MAX_TABLE_BYTES // 1024**2} MiB.")
    source = _own_names(pd.read_csv(labels_csv, dtype=str, keep_default_na=False))
    if not 0 < len(source) <= MAX_ROWS:
        raise ValueError(f"The table must have 1 to {MAX_ROWS:,} rows.")
    names = [_column(source, finding) for finding in findings]
    if not names or len(set(names)) < len(names):
        raise ValueError("Name at least one finding, each once.")
    for needed in ("file", "patient_id"):
        if needed not in source.columns or (source[needed].str.strip() == "").any():
            raise ValueError(f"Every row of the table needs a {needed}.")
    if source["file"].duplicated().any():
        raise ValueError("The table names a file twice.")
    table = pd.DataFrame({"file": [check_name(name) for name in source["file"]]})
    table["patient_id"] = source["patient_id"].str.strip()
    table["given"] = source.get("split", "")
    check_given(table["given"].unique())
    for name in names:
        table[f"finding:{name}"] = _values(source[name], name)
    for other in source.columns.difference([*OWN, *names], sort=False):
        table[f"meta:{other}"] = source[other]
    return table, names


def _own_names(source: pd.DataFrame) -> pd.DataFrame:
    """The columns that mean something here under their own names, whatever the case of their letters."""
    wanted = {c: c.lower() for c in source.columns if c.lower() in KNOWN and c.lower() not in source.columns}
    if len(set(wanted.values())) < len(wanted):
        raise ValueError("The table has two columns that differ only in the case of their letters.")
    return source.rename(columns=wanted)


def _column(source: pd.DataFrame, finding: str) -> str:
    """Its column, whatever the case of its letters."""
    for column in source.columns:
        if column.lower() == finding.lower() and column not in OWN:
            return str(column)
    raise ValueError(f"The table has no column {finding!r}.")


def _values(column: pd.Series, name: str) -> pd.Series:
    values = column.str.strip()
    if (bad := ~values.isin(list(VALUES))).any():
        row = int(np.flatnonzero(bad)[0])
        raise ValueError(f"{name} must be 1, 0 or blank; row {row + 2} of the table says otherwise.")
    return values.map(VALUES).astype(np.float32)


def _collect(
    images: Path, table: pd.DataFrame, file: BinaryIO | None, tell: Tell | None, rejected: frozenset[str]
) -> tuple[pd.DataFrame, dict[str, int]]:
    """The readable rows with their place in `file`, and how many were left out why."""
    places: dict[int, tuple[int, int, int, str, str]] = {}
    skipped: Counter[str] = Counter()
    offset = 0
    for done, (row, film) in enumerate(read_films(images, list(table["file"]), Limits(), rejected)):
        if isinstance(film, DecodedImage):
            shrunk = shrink(film.pixels)
            looks = perceptual_hash(shrunk).hex()
            places[row] = (offset, *shrunk.shape, film.pixel_sha256, looks)
            offset += shrunk.size
            if file is not None:
                file.write(shrunk.tobytes())
        else:
            skipped[film.code] += 1
        if tell and done % 100 == 99:
            tell(done + 1, len(table))
    if not places:
        raise ValueError("None of the table's images can be read.")
    kept = table.iloc[sorted(places)].reset_index(drop=True)
    about = [places[row] for row in sorted(places)]
    kept[["offset", "rows", "columns"]] = np.array([place[:3] for place in about], np.int64)
    kept["pixel_sha256"] = [place[3] for place in about]
    kept["perceptual_hash"] = [place[4] for place in about]
    return kept, dict(skipped)


def _join(
    table: pd.DataFrame, names: list[str], base: Dataset, file: BinaryIO
) -> tuple[pd.DataFrame, list[str]]:
    """With the films of `base` that are not in the table, after its pixels. Who was given a part keeps it,
    who was dealt one is dealt the same again."""
    before = base.table[~base.table["pixel_sha256"].isin(table["pixel_sha256"])].copy()
    given = before.get("given", pd.Series("", before.index)).str.strip() != ""
    before["given"] = before["split"].where(given & before["split"].isin(STRENGTH), "")
    before = before[~(given & ~before["split"].isin(STRENGTH))].drop(columns="split")
    before["file"] = [f"{base.manifest['name']}/{name}" for name in before["file"]]
    end = file.tell()
    for row in before.index:
        pixels = base.film(row)
        before.loc[row, "offset"], before.loc[row, "perceptual_hash"] = end, perceptual_hash(pixels).hex()
        end += file.write(pixels.tobytes())
    both = pd.concat([table, before], ignore_index=True)
    if "weight" in both:
        both["weight"] = both["weight"].fillna(1.0).astype(np.float32)
    for column in both.columns[both.columns.str.startswith("meta:")]:
        both[column] = both[column].fillna("")
    names = list(dict.fromkeys([*names, *base.findings]))
    findings = [f"finding:{name}" for name in names]
    both[findings] = both[findings].astype(np.float32)
    return both, names


def _split(table: pd.DataFrame, dealing: Dealing | None) -> list[str]:
    patients, pixels, given = (list(table[name]) for name in ("patient_id", "pixel_sha256", "given"))
    return split(patients, pixels, given, dealing)


def _summary(
    table: pd.DataFrame, names: list[str], skipped: dict[str, int], provenance: Mapping[str, Any],
    hashes: dict[str, str],
) -> FrozenFilms:  # fmt: skip
    counts = {}
    for name in names:
        values = table[f"finding:{name}"]
        present, absent = int((values == 1).sum()), int((values == 0).sum())
        counts[name] = {"present": present, "absent": absent, "unknown": len(table) - present - absent}
    return FrozenFilms(
        n=len(table),
        n_patients=int(table["patient_id"].nunique()),
        n_duplicates=int(table["pixel_sha256"].duplicated().sum()),
        findings=counts,
        splits={str(k): int(v) for k, v in table["split"].value_counts().items()},
        skipped=skipped,
        parts=tally_parts(table, names),
        near_duplicates=tally_likeness(table),
        provenance=provenance,
        **hashes,
    )


_FILES = {"films": "films.parquet", "pixels": "pixels.bin"}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
