from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from ml.common.contracts import TrainRequest, TrainResult
from ml.fraud.config import PRESETS
from ml.fraud.importing import freeze_frame
from ml.fraud.simulator import simulate


@pytest.fixture(scope="session")
def history() -> pd.DataFrame:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return simulate(n_customers=250, n_terminals=100, n_days=40, start=start, seed=1)


@pytest.fixture(scope="session")
def request_for(history, tmp_path_factory):
    def make(**changes: object) -> TrainRequest:
        base: Path = tmp_path_factory.mktemp("fraud")
        (base / "checkpoints").mkdir()
        freeze_frame(history, base / "dataset", "small")
        given = {"params": PRESETS["tiny"], **changes}
        return TrainRequest(base / "dataset", base / "output", base / "checkpoints", device="cpu", **given)

    return make


@pytest.fixture(scope="session")
def trained(request_for) -> TrainResult:
    from ml.fraud.train import train

    return train(request_for(), lambda event: None)
