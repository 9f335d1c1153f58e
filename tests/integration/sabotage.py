"""A process of the product with one guard taken out, to show what the guard is for.

python -m tests.integration.sabotage GUARD web
python -m tests.integration.sabotage GUARD celery worker ...
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import django

if TYPE_CHECKING:
    from apps.fraud.decide.services.ingest import Receipt


def none() -> None:
    """The product as it is."""


def commits_before_answering() -> None:
    """It says 202 with everything written, and will commit in a moment."""
    from django.db import transaction

    from apps.fraud.api import doors

    ingest = doors.ingest_transactions

    def later(**event: Any) -> Receipt:
        receipts: queue.Queue[Receipt] = queue.Queue()

        def store() -> None:
            with transaction.atomic():
                receipts.put(ingest(**event))
                threading.Event().wait()

        threading.Thread(target=store, daemon=True).start()
        return receipts.get()

    doors.ingest_transactions = later


def knows_an_event_again() -> None:
    """No key is kept, so that the same event sent again is a new one."""
    from apps.fraud.decide.services import ingest
    from apps.fraud.models import EventKey

    insert = ingest.insert
    ingest.insert = lambda *groups: insert(
        *([row for row in g if not isinstance(row, EventKey)] for g in groups)
    )


def claims_with_the_decision() -> None:
    """Claims in a transaction of its own, and dies before it decides."""
    from apps.fraud.decide.services import drain
    from apps.fraud.models import TransactionStatus

    def claim(only=None):  # type: ignore[no-untyped-def]
        if pks := list(drain.ready_rows().values_list("pk", flat=True)[: drain.BATCH]):
            drain.Transaction.objects.filter(pk__in=pks).update(status=TransactionStatus.DECIDED)
            os.kill(os.getpid(), signal.SIGKILL)
        return 0

    drain._decide_next = claim


def dies_before_the_commit() -> None:
    """No guard is gone: the worker dies with everything written and nothing committed."""
    from apps.fraud.decide.services import drain

    decide = drain.decide_transactions

    def die(rows):  # type: ignore[no-untyped-def]
        if decide(rows):
            os.kill(os.getpid(), signal.SIGKILL)
        return []

    drain.decide_transactions = die


def says_analysed_first() -> None:
    """A film's status is committed before its findings are, and the worker dies in between."""
    from apps.radiology.analysis.services import analyse, outcomes

    finish = outcomes.finish

    def die(found):  # type: ignore[no-untyped-def]
        outcomes._store = lambda judged: None  # type: ignore[assignment]
        finish(found)
        os.kill(os.getpid(), signal.SIGKILL)

    analyse.finish = die  # type: ignore[assignment]


def dies_before_films_are_stored() -> None:
    """No guard is gone: the worker dies with everything written and nothing committed."""
    from apps.radiology.analysis.services import outcomes

    outcomes.sum_up = lambda *study_ids: os.kill(os.getpid(), signal.SIGKILL)


def says_503() -> None:
    """What the database does not answer ends as any other error of ours."""
    from apps.fraud.api import doors

    doors._stored_or_503 = contextlib.nullcontext


def checks_the_model() -> None:
    """Neither hashes nor golden inputs: what can be parsed decides."""
    from ml.common import artefact
    from ml.fraud import predict

    def unchecked(folder: Path, expected_hash: str, *, kind: str) -> artefact.Artefact:
        manifest = artefact._parse(artefact._manifest_bytes(folder))
        return artefact.Artefact(folder, kind, manifest["meta"], expected_hash)

    predict.open_artefact = unchecked  # type: ignore[assignment]
    predict.require_golden = lambda *_, **__: None


def loads_slowly() -> None:
    """No guard is gone: a version takes so long to load that requests come meanwhile."""
    from apps.fraud.serving import inference

    load = inference._load

    def slowly(folder: Path, artefact_hash: str) -> Any:
        threading.Event().wait(0.7)
        return load(folder, artefact_hash)

    inference._load = slowly


def names_what_answered() -> None:
    """The version is read where the decision is written, and not taken from the predictor that scored."""
    import dataclasses

    from apps.fraud.serving import inference
    from apps.modelops.common.selectors import champion

    loads_slowly()
    score = inference.score

    def named_apart(*given):  # type: ignore[no-untyped-def]
        answer, serving = score(*given), champion("fraud")
        assert serving is not None
        return dataclasses.replace(answer, number=serving.number, artefact_hash=serving.artefact_hash)

    inference.score = named_apart


def keeps_the_one_before() -> None:
    """The one before is let go of first, and the next one loaded then."""
    from apps.fraud.serving import inference

    loads_slowly()
    loaded = inference.loaded

    def let_go_first(version, until=None):  # type: ignore[no-untyped-def]
        before = inference._loaded
        if version and before and before.artefact_hash != version.artefact_hash:
            inference._loaded = None
        return loaded(version, until)

    inference.loaded = let_go_first


GUARDS: dict[str, Callable[[], None]] = {
    guard.__name__: guard
    for guard in (
        none, commits_before_answering, knows_an_event_again, claims_with_the_decision,
        dies_before_the_commit, says_analysed_first, dies_before_films_are_stored, says_503,
        checks_the_model, loads_slowly, names_what_answered, keeps_the_one_before,
    )
}  # fmt: skip


def main(guard: str, program: str, *words: str) -> None:
    django.setup()
    GUARDS[guard]()
    if program == "web":
        from config.web import main as serve

        serve()
    else:
        from config.celery import app

        app.worker_main([*words])


if __name__ == "__main__":
    main(*sys.argv[1:])
