"""How long the worklist takes with 10,000 and with 1,000,000 studies on PostgreSQL, door by door.

    python -m benchmarks.worklist_scale [--repeats 40] [--small 10000 --large 1000000]

A PostgreSQL of its own is filled with studies, a thousand a day; those of the last two days are to be read,
the rest is signed. Each door is asked `repeats` times through Django, middleware, session, audit row and
template included, without a network; `cpu` is this process's own, which other work on the machine lengthens
less. `p95_ms_10k` and `p95_ms_1m` are those of the slowest door. A third fill leaves 100,000 unread, which no
department does.
"""

from __future__ import annotations

import argparse
import html
import os
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.report import report
from benchmarks.serving_place import Place, installed

UNREAD = 2000
WARM = 3


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--repeats", type=int, default=40)
    asked.add_argument("--small", type=int, default=10_000)
    asked.add_argument("--large", type=int, default=1_000_000)
    asked.add_argument("--note", default="", help="What else a reader must know, such as a busy machine.")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="lyn-") as folder:
        place = installed(Path(folder))
        table, worst = [], {}
        desk = _desk(place)
        fills = [
            ("10k", given.small, UNREAD),
            ("1m", given.large, UNREAD),
            ("1m_unread_100k", given.large, min(100_000, given.large // 10)),
        ]
        for name, studies, unread in fills:
            rows = list(_measured(desk, studies, unread, given.repeats))
            table += [{"studies": studies, "unread": unread, **row} for row in rows]
            worst[f"p95_ms_{name}"] = max(row["p95_ms"] for row in rows)
    first_image = _first_image()
    more = {"note": given.note} if given.note else {}
    report("worklist_scale", table, worst | first_image, **more)


def _first_image() -> dict[str, float]:
    """The viewer's part of the same promise, where its benchmark is."""
    try:
        from benchmarks.first_image import first_image_s
    except ImportError:
        return {}
    return {"first_image_s": float(first_image_s())}


def _desk(place: Place) -> Callable[..., Any]:
    """Django over this installation: a signed-in client, and how to fill it."""
    os.environ.update(place.environment)
    import django

    django.setup()
    from django.test import Client

    from apps.accounts.models import Role, Site, User
    from apps.modelops.models import DatasetSnapshot, Model, ModelVersion, TrainingJob
    from apps.radiology.models import ReadingPolicy, Study
    from benchmarks.worklist_rows import READERS, fill

    site = Site.objects.get(slug="demo")
    people = [
        User.objects.create_user(f"r{n}@demo.example", site=site, role=Role.RADIOLOGIST)
        for n in range(READERS)
    ]
    ReadingPolicy.objects.create(site=site, concurrent=True)  # else the list names no findings
    dataset = DatasetSnapshot.objects.create(site=site, domain="radiology", name="x", manifest_sha256="")
    job = TrainingJob.objects.create(site=site, domain="radiology", dataset=dataset, preset="tiny")
    model = Model.objects.create(domain="radiology")
    model.champion = ModelVersion.objects.create(
        model=model, number=1, artefact_hash="0" * 64, dataset=dataset, job=job
    )
    model.save()
    client = Client(SERVER_NAME="localhost")
    client.force_login(people[0])

    def prepare(studies: int, unread: int) -> tuple[Client, dict[str, str]]:
        fill(site.pk, [one.pk for one in people], model.champion.pk, studies=studies, unread=unread)
        middle = Study.objects.filter(read_state="final").order_by("received_at")[studies // 3]
        known = {"patient": middle.PatientID, "accession": middle.AccessionNumber,
                 "day": str(middle.received_at.date())}  # fmt: skip
        return client, known

    return prepare


def _measured(desk: Callable[..., Any], studies: int, unread: int, repeats: int) -> Iterator[dict[str, Any]]:
    client, known = desk(studies, unread)
    for name, address in _doors(client, known):
        method = client.post if name == "next" else client.get
        taken, worked = [], []
        for turn in range(WARM + repeats):
            start, begun = time.perf_counter(), time.process_time()
            answer = method(address)
            if turn >= WARM:
                taken.append((time.perf_counter() - start) * 1000)
                worked.append((time.process_time() - begun) * 1000)
            if answer.status_code >= 400:
                raise SystemExit(f"{address} answered {answer.status_code}.")
        cuts = statistics.quantiles(taken, n=20)
        cpu = statistics.median(worked)
        yield {"door": name, "p50_ms": statistics.median(taken), "p95_ms": cuts[18], "cpu_p50_ms": cpu}


def _doors(client: Any, known: dict[str, str]) -> list[tuple[str, str]]:
    """What is asked; each page's own live address and the key of a page deep down are taken from pages."""
    deep = "/radiology/"
    for _ in range(20):
        deep = _found(client.get(deep), r'rel="next"[^>]*?href="([^"]+)"', deep)
    live = _found(client.get("/radiology/"), r'hx-get="([^"]*rows/[^"]*)"', "")
    filters = {
        "status": "status=analysed",
        "rare status": "status=refused",
        "finding": "finding=Nodule",
        "modality": "modality=CR",
        "rare modality": "modality=MG",
        "today": "received=today",
        "an old day": f"reading=all&day={known['day']}",
        "mine": "reading=mine",
        "begun": "reading=begun",
        "signed": "reading=signed",
        "all": "reading=all",
        "all, rare status": "reading=all&status=refused",
        "all, rare modality": "reading=all&modality=MG",
        "all, finding": "reading=all&finding=Nodule",
        "patient": f"reading=all&q={known['patient']}",
        "patient, to read": f"q={known['patient']}",
        "a short beginning": "reading=all&q=P0",
        "accession": f"reading=all&q={known['accession']}",
    }
    return [
        ("first page", "/radiology/"),
        ("page 21", deep),
        ("rows, nothing new", live),
        ("rows, something new", re.sub("seen=.", "seen=x", live)),
        ("standing", "/radiology/standing/"),
        *((name, f"/radiology/?{query}") for name, query in filters.items()),
        ("next", "/radiology/next/"),
    ]


def _found(page: Any, pattern: str, otherwise: str) -> str:
    found = re.search(pattern, page.content.decode(), re.S)
    address = html.unescape(found[1]) if found else otherwise
    return f"/radiology/{address}" if address.startswith("?") else address


if __name__ == "__main__":
    main()
