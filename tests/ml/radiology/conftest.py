from __future__ import annotations

import pytest

from ml.common.contracts import TrainResult
from tests import films


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> TrainResult:
    return films.tiny_artefact(tmp_path_factory)


@pytest.fixture(scope="session")
def film_folder(tmp_path_factory):
    """Synthetic DICOM films with labels.csv."""
    return films.tiny_films(tmp_path_factory)


@pytest.fixture(scope="session")
def request_for(tmp_path_factory):
    return lambda **changes: films.train_request(tmp_path_factory, **changes)
