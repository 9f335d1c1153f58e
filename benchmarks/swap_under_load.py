"""The champion changes again and again while requests come in: does one fail, does one name a wrong version?

    python -m benchmarks.swap_under_load [--swaps 50] [--rate 40] [--sabotage names_what_answered]

Two versions of each domain, trained from other seeds, are promoted by two people and rolled back by one in
turns. Payments come meanwhile through the synchronous door and the webhook, films through STOW-RS to the
imaging worker. A swap is over once an answer of the new version was seen, and half a second more.

failed_requests: not answered 2xx. unanswered: taken, and neither decided nor analysed. without_model:
payments decided by rules alone. wrong_version_answers: the version an answer names gives another score when
it is asked again from the stored inputs, or the answer differs from what is stored. told_apart_share: how
many answers the other version would not have given, without which the line before would prove nothing.
With --sabotage one guard of tests/integration/sabotage.py is taken out of the web server.
"""

from __future__ import annotations

import argparse
import copy
import io
import json
import random
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pydicom
from pydicom.uid import generate_uid

from benchmarks.report import ROOT, report
from benchmarks.serving_place import PYTHON, Place, installed, manage, running, wait_for, worker
from benchmarks.swap_traffic import Decisions, Door, Films, Heard, Transactions, traffic
from ml.radiology.synthetic import synthetic_film

DEADLINE_MS = 2000  # the time is not measured here, and nothing is left out to keep it
SENDERS = 8
DRAIN_S = 120.0
FILMS = 24  # drawn; each is sent again and again under other UIDs
OPEN = {
    "fraud": "SELECT EXISTS (SELECT FROM fraud_transaction WHERE status = 'pending')",
    "radiology": "SELECT EXISTS (SELECT FROM radiology_instance WHERE status IN ('received', 'analysing'))",
}
Made = list[dict[str, Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--swaps", type=int, default=50)
    parser.add_argument("--rate", type=float, default=40, help="payments a second at the synchronous door")
    parser.add_argument("--films", type=float, default=2, help="films a second")
    parser.add_argument("--sabotage", default="")
    parser.add_argument("--domains", default="fraud,radiology")
    given = parser.parse_args()
    domains = given.domains.split(",")
    with tempfile.TemporaryDirectory(prefix="lyn-") as var, ExitStack() as stack:
        place = with_two_versions(Path(var), domains)
        stack.enter_context(running(place, "-m", "demo.redis"))
        stack.enter_context(web(place, given.sabotage))
        url = f"http://127.0.0.1:{place.port}"
        rows: list[dict[str, Any]] = []
        if "fraud" in domains:
            payments = {
                "decisions": (decisions(place, "sync"), given.rate),
                "transactions": (Transactions("hook", place.source, place.secret), given.rate / 20),
            }
            with worker(place, 1):
                rows += swapped(place.environment, place.database_url, url, "fraud", payments, given.swaps)
        if "radiology" in domains:
            plain = [
                pydicom.dcmread(io.BytesIO(synthetic_film(43, n, rows=256).content)) for n in range(FILMS)
            ]
            films = {"films": (Films(place.token, partial(film_under_new_uids, plain)), given.films)}
            with worker(place, 1, "imaging"):
                rows += swapped(place.environment, place.database_url, url, "radiology", films, given.swaps)
    report("swap_under_load" + f"_{given.sabotage}" * bool(given.sabotage), rows, measures(rows),
           swaps=given.swaps, sabotage=given.sabotage, deadline_ms=DEADLINE_MS)  # fmt: skip


def with_two_versions(var: Path, domains: list[str]) -> Place:
    """Of each domain, small ones: the first is in service."""
    place = installed(var, LYNCEUS_WEB_WORKERS="2")
    manage(place, "simulate_transactions", "--name", "swap", "--days", "60", "--customers", "400")
    manage(place, "simulate_films", "--name", "swap", "--films", "240", "--rows", "128")
    for domain in domains:
        trained = ["train", domain, "--dataset", "swap", "--preset", "tiny"]
        manage(place, *trained, "--seed", "1", "--promote", "--json", str(var / "first.json"))
        manage(place, *trained, "--seed", "2", "--json", str(var / "second.json"))
    return place


@contextmanager
def web(place: Place, sabotage: str) -> Iterator[psutil.Process]:
    command = ["-m", "tests.integration.sabotage", sabotage, "web"] if sabotage else ["-m", "config.web"]
    with running(place, *command) as process:
        wait_for(f"http://127.0.0.1:{place.port}/readyz")
        yield process


def decisions(place: Place, prefix: str) -> Decisions:
    return Decisions(
        prefix,
        {"Authorization": f"Bearer {place.token}", "lynceus-source": place.source,
         "lynceus-deadline-ms": str(DEADLINE_MS)},
    )  # fmt: skip


def film_under_new_uids(plain: list[pydicom.Dataset]) -> tuple[str, bytes]:
    data = copy.deepcopy(random.choice(plain))  # noqa: S311 - no secret
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    data.StudyInstanceUID, data.SeriesInstanceUID = generate_uid(), generate_uid()
    buffer = io.BytesIO()
    data.save_as(buffer, enforce_file_format=True)
    return str(data.SOPInstanceUID), buffer.getvalue()


def swapped(
    environment: Mapping[str, str],
    database_url: str,
    url: str | Mapping[str, str],
    domain: str,
    doors: Mapping[str, tuple[Door, float]],
    swaps: int,
) -> list[dict[str, Any]]:
    """A row for each door (with its requests a second): what came of its traffic while versions took turns.

    `url` is one address for all, or one for each.
    """
    command = [PYTHON, "-m", "benchmarks.swap_inside", domain, str(swaps)]
    inside = subprocess.Popen(
        command, cwd=ROOT, env={**environment}, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert inside.stdin and inside.stdout  # noqa: S101 - opened with PIPE above
    with inside, ExitStack() as stack:
        heard = {
            name: stack.enter_context(
                traffic(url if isinstance(url, str) else url[name], door, rate, SENDERS)
            )
            for name, (door, rate) in doors.items()
        }
        made: Made = json.loads(inside.stdout.readline() or "[]")
        stack.close()
        wait_until_settled(database_url, domain)
        inside.stdin.write(json.dumps({name: _taken(one) for name, one in heard.items()}) + "\n")
        inside.stdin.flush()
        found = json.loads(inside.stdout.readline() or "{}")
    if inside.returncode:
        raise SystemExit("The swaps were not made, or not looked at afterwards.")
    return [
        {"domain": domain, "door": name, "failed": heard[name].failed, **found[name], **_swaps(made)}
        for name in doors
    ]


def _taken(heard: Heard) -> dict[str, Any]:
    return {"ids": heard.ids, "told": heard.told}


def _swaps(made: Made) -> dict[str, Any]:
    seen = [one["seen_s"] for one in made if one["seen_s"] is not None]
    return {
        "swaps": len(made), "seen": len(seen), "seen_p50_s": statistics.median(seen or [0.0]),
        "seen_most_s": max(seen, default=0.0),
    }  # fmt: skip


def wait_until_settled(database_url: str, domain: str) -> None:
    """Until nothing waits that was taken, or for DRAIN_S: what is left then counts as unanswered."""
    end = time.monotonic() + DRAIN_S
    with psycopg.connect(database_url, autocommit=True) as connection:
        while connection.execute(OPEN[domain]).fetchall()[0][0] and time.monotonic() < end:
            time.sleep(0.2)


def measures(rows: list[dict[str, Any]]) -> dict[str, float]:
    total: Callable[[str], int] = lambda name: sum(row[name] for row in rows)  # noqa: E731
    return {
        "failed_requests": total("failed"), "unanswered": total("unanswered"),
        "without_model": total("without_model"), "wrong_version_answers": total("wrong"),
        "told_apart_share": total("told_apart") / max(1, total("replayed")),
        "answers": total("taken"), "replayed": total("replayed"),
        **{f"swaps_{row['domain']}": row["seen"] for row in rows},
    }  # fmt: skip


if __name__ == "__main__":
    main()
