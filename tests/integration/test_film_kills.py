"""The worker for films is killed again and again; every film is analysed once, none is lost."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ml.radiology.synthetic import synthetic_film
from tests.integration.apart import Apart
from tests.integration.running import eventually

KILLS = int(os.environ.get("LYNCEUS_SOAK_FILM_KILLS") or 2)
STUDIES = int(os.environ.get("LYNCEUS_SOAK_STUDIES") or 20)
ROWS = 160
OUTCOMES = """
SELECT i."SOPInstanceUID", i.status, i.reason_code, count(DISTINCT a.id),
       count(f.id) = count(DISTINCT (f.analysis_id, f.label))
FROM radiology_instance i LEFT JOIN radiology_analysis a ON a.instance_id = i.id
LEFT JOIN radiology_finding f ON f.analysis_id = a.id
WHERE i."SOPInstanceUID" = ANY(%s) GROUP BY i.id
"""
OPEN = ("received", "analysing")
CHUNK = 5


def drawn(folder: Path, count: int, seed: int) -> dict[str, Path]:
    """Films by their SOPInstanceUID, each a study of its own."""
    films = {}
    for number in range(count):
        film = synthetic_film(seed, number, rows=ROWS)
        films[film.sop_instance_uid] = path = folder / f"{seed}-{number}.dcm"
        path.write_bytes(film.content)
    return films


def send(apart: Apart, films: list[Path]) -> None:
    """By C-STORE and STOW-RS in turns."""
    for at in range(0, len(films), CHUNK):
        part = films[at : at + CHUNK]
        if at // CHUNK % 2:
            assert apart.demo.store_by_http(part).status_code == 200
        else:
            assert [apart.demo.store_by_dimse(film) for film in part] == [0] * len(part)


def count_done(apart: Apart, uids: list[str]) -> int:
    """Films of these that wait for nothing."""
    return sum(status not in OPEN for _, status, *_ in apart.postgres.rows(OUTCOMES, uids))


def not_analysed_once(apart: Apart, uids: list[str]) -> dict[str, str]:
    """Once nothing waits any more: what was lost, doubled or given up. A verdict of the model's counts."""
    eventually(lambda: count_done(apart, uids) == len(uids), within_s=300, of="the last analysis")
    found = {uid: rest for uid, *rest in apart.postgres.rows(OUTCOMES, uids)}
    wrong = {uid: "not stored" for uid in uids if uid not in found}
    for uid, (status, code, analyses, once) in found.items():
        judged = (status, analyses) == ("analysed", 1) and once
        turned_away = (status, analyses) == ("not_analysed", 0) and code in ("outside_validated", "age")
        if not judged and not turned_away:
            wrong[uid] = f"{status} {code}, {analyses} analyses"
    return wrong


@pytest.mark.soak
def test_it_works(apart: Apart, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    films = drawn(tmp_path, STUDIES, seed=4711)
    uids = list(films)
    with apart.without_worker("imaging"), ThreadPoolExecutor(1) as pool:
        sending = pool.submit(send, apart, list(films.values()))
        pause = threading.Event()
        for number in range(KILLS):
            with apart.imaging() as worker:
                due = STUDIES * (number + 1) // (KILLS + 1)
                eventually(lambda due=due: count_done(apart, uids) >= due, within_s=300, of=f"{due} films")
                pause.wait(0.05 * (number % 7))  # at another moment of a batch each time
                worker.kill()
        sending.result()
        with apart.imaging():
            wrong = not_analysed_once(apart, uids)
    counted = Counter(status for _, status, *_ in apart.postgres.rows(OUTCOMES, uids))
    for name, value in (
        ("film_kills", KILLS), ("studies", STUDIES), ("films_lost_or_doubled", len(wrong)),
        ("films_analysed", counted["analysed"]),
    ):  # fmt: skip
        record_property(name, value)
    assert wrong == {}
    assert counted["analysed"] > STUDIES // 2


def test_a_worker_that_dies_with_everything_written_has_finished_nothing(
    apart: Apart, tmp_path: Path
) -> None:
    """Killed at the worst moment; its successor of the same name takes the films over at once."""
    uids = dead_in_the_middle(apart, tmp_path, "dies_before_films_are_stored", seed=4712)
    with apart.without_worker("imaging"), apart.imaging():
        assert not_analysed_once(apart, uids) == {}
    attempts = apart.postgres.rows(
        'SELECT max(attempts) FROM radiology_instance WHERE "SOPInstanceUID" = ANY(%s)', uids
    )
    assert attempts == [(2,)]


def test_were_a_film_called_analysed_before_its_findings_are_stored_they_would_be_lost(
    apart: Apart, tmp_path: Path
) -> None:
    uids = dead_in_the_middle(apart, tmp_path, "says_analysed_first", seed=4713)
    with apart.without_worker("imaging"), apart.imaging():
        assert "analysed , 0 analyses" in not_analysed_once(apart, uids).values()


def dead_in_the_middle(apart: Apart, folder: Path, guard: str, seed: int) -> list[str]:
    """Films that were sent to a worker which died of them."""
    films = drawn(folder, CHUNK, seed)
    with apart.without_worker("imaging"):
        send(apart, list(films.values()))
        with apart.imaging(guard) as worker:
            assert worker.wait(timeout=300) == -signal.SIGKILL
    return list(films)
