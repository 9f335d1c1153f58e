"""What `manage.py score fraud` does: every payment of a file, by the calls that serve."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from apps.core.words import counted
from apps.fraud.lifecycle.services.history import read_history
from ml.common.contracts import ProgressCallback, ProgressEvent
from ml.common.progress import Ticker
from ml.common.worksheet import Worksheet

ROWS = 1000  # scored and kept together


def score(artefact_dir: Path, options: Mapping[str, Any], out: Path, progress: ProgressCallback) -> int:
    """A line a payment, in time order: its event_id and the model's calibrated score, without rules.

    Cards begin unknown: what a payment's score rests on must be in the file. Labels and reversals in it are
    heard when they became known. Raises ValueError for a file or mapping that does not fit, or `out` begun
    with others, ArtefactError.
    """
    from ml.fraud.clock import with_offsets
    from ml.fraud.importing import read_mapping
    from ml.fraud.predict import FraudPredictor
    from ml.fraud.scoring import heard_in, score_part

    if not options["file"]:
        raise ValueError("Fraud scores transactions: give --file, and --mapping where needed.")
    predictor = FraudPredictor.load(artefact_dir, options["artefact_hash"])
    file = Path(options["file"])
    [frame] = read_history([file], read_mapping(options["mapping"]))
    frame = with_offsets(frame, predictor.time_zone)
    heard = heard_in(frame)
    with Worksheet(out, _about(options, file, len(frame))) as sheet:
        done = len(sheet.done())
        ticker = Ticker(len(frame) - done)
        for start in range(done, len(frame), ROWS):
            stop = min(start + ROWS, len(frame))
            scores, states = score_part(predictor, frame, heard, start, stop, sheet.states)
            ids = frame["event_id"].iloc[start:stop]
            told = [{"event_id": one, "score": score} for one, score in zip(ids, scores, strict=True)]
            sheet.write(dict(enumerate(told, start)), states)
            ticker.add(stop - start)
            progress(_said(stop, len(frame), ticker))
        return sheet.finish()


def _about(options: Mapping[str, Any], file: Path, rows: int) -> dict[str, Any]:
    told = {name: options[name] for name in ("version", "artefact_hash", "mapping")}
    with file.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    return {**told, "file": file.name, "rows": rows, "file_sha256": sha256}


def _said(done: int, of: int, ticker: Ticker) -> ProgressEvent:
    return ProgressEvent(
        "score", message=f"{done:,} of {counted(of, 'payment')}", step=done, steps=of, rate=ticker.rate,
        rate_unit="rows", eta_s=ticker.eta_s,
    )  # fmt: skip
