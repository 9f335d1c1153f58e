"""The only file that touches the fraud predictor: champion in, scores out, or a reason why not."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path
from typing import ParamSpec, TypeVar

import numpy as np
import structlog
from django.conf import settings
from django.db import DatabaseError, connection, transaction

from apps.core.errors import LynceusError
from apps.core.heap import settle
from apps.core.status import note_loaded
from apps.fraud.models import FraudLabel, Reversal
from apps.fraud.serving.predictors import (
    MODEL_UNREADABLE,
    Answer,
    Champion,
    Matrix,
    NoAnswer,
    Predictor,
    States,
)
from apps.fraud.serving.rows import label_of, reversal_of
from apps.modelops.common.places import artefact_folder
from apps.modelops.common.selectors import Serving, ask_serving, champion, serving_of
from apps.modelops.registry import load
from ml.common.artefact import ArtefactError
from ml.fraud.contracts import BatchResult, Event, EventScore, Influence, Reason, Vector

log = structlog.get_logger(__name__)
LOOK_S = 0.5  # how long a look at readiness waits for a model that is being loaded
P = ParamSpec("P")
T = TypeVar("T")

_lock = threading.Lock()
_loaded: Champion | None = None
_noted = ""
_failed: tuple[str, float] = ("", 0.0)
# Where the synchronous door lets the model work, so that it can go on without it. No thread starts
# before the first call, and none of them touches the database.
_pool = ThreadPoolExecutor(max_workers=4, thread_name_prefix="model")


def current_champion(until: float | None = None) -> Champion | NoAnswer:
    """As `loaded`, of the version that is in service now."""
    return loaded(serving_of(ask_serving("fraud")), until)


def loaded(version: Serving | None, until: float | None = None) -> Champion | NoAnswer:
    """This version, loaded once per process and artefact; a failed load is tried again after a while.

    The one before it goes on serving while it is loaded, with `until` (time.monotonic), and where it cannot
    be. Without one before, NoAnswer "deadline" where the loading lasts longer: a later call finds it done.
    """
    if version is None:
        return NoAnswer("no_model")
    before, wanted = _loaded, (version.number, version.artefact_hash)
    if before is not None and before.artefact_hash == version.artefact_hash:
        model: Champion | NoAnswer = before
    elif before is not None and until is not None:
        if not _lock.locked():
            _pool.submit(_ready, *wanted)
        return before
    else:
        try:
            model = _in_time(until, _ready, *wanted)
        except TimeoutError:
            return NoAnswer("deadline")
    if isinstance(model, Champion):
        _note(f"version {model.number}{_other_clock(model)}")
        return model
    if before is None:
        _note(f"nothing: version {version.number} cannot be read, rules decide")
    return before or model


def _other_clock(model: Champion) -> str:
    """Its days begin at other hours than ours, and so do its nights: what it learnt of them is off."""
    theirs = model.predictor.time_zone
    return "" if theirs == settings.TIME_ZONE else f", trained by the clock of {theirs}: train it anew"


def warm() -> threading.Thread:
    """Load the champion beside this process's start, so that its first decision need not wait for it, nor
    later ones for the garbage collector."""
    thread = threading.Thread(target=_warm, name="warm", daemon=True)
    thread.start()
    return thread


def _warm() -> None:
    try:
        current_champion()
    except DatabaseError as error:
        log.warning("model_not_warmed", error=type(error).__name__)  # the next look at readiness tries again
    finally:
        connection.close()
    settle()


def loaded_here() -> str:
    """What readiness says of the model the synchronous door of this process uses; loads it if need be.

    Raises RuntimeError while none is loaded though one is in service. A newly promoted one is loaded by the
    next look or decision while the process stays in rotation, and where there is none rules decide.
    """
    model = current_champion(until=time.monotonic() + LOOK_S)
    if isinstance(model, Champion):
        version = champion("fraud")
        promoted = "" if version is None or version.number == model.number else ", a newer one not yet"
        return f"version {model.number} loaded{promoted}{_other_clock(model)}"
    if model.reason == "no_model":
        return "none in service: rules decide"
    if model.reason == "deadline":
        raise RuntimeError("is being loaded")
    raise RuntimeError("cannot be loaded: the log says why; put another version in service or mend this host")


def _ready(number: int, artefact_hash: str) -> Champion | NoAnswer:
    global _loaded, _failed
    before = _loaded
    if before is not None and before.artefact_hash == artefact_hash:
        return before
    with _lock:
        if _loaded is not None and _loaded.artefact_hash == artefact_hash:
            return _loaded
        if _failed[0] == artefact_hash and time.monotonic() < _failed[1]:
            return NoAnswer(MODEL_UNREADABLE)
        try:
            predictor = _load(artefact_folder(artefact_hash), artefact_hash)
        except Exception:  # whatever is wrong with the artefact, rules still decide
            log.exception("model_unreadable", version=number)
            _failed = (artefact_hash, time.monotonic() + settings.LYNCEUS_MODEL_RETRY_S)
            return NoAnswer(MODEL_UNREADABLE)
        _loaded = Champion(number, artefact_hash, predictor)
        log.info("model_loaded", version=number)
        return _loaded


def _note(says: str) -> None:
    """For /status, after the transaction that decides: it must not wait for a row that others write."""
    if _noted != says:
        transaction.on_commit(partial(_note_now, says), robust=True)


def _note_now(says: str) -> None:
    global _noted
    note_loaded("fraud model", says)
    _noted = says


def _in_time(until: float | None, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `work` returns, or TimeoutError at `until`: it then ends unheard, or never begins."""
    if until is None:
        return work(*args, **kwargs)
    future = _pool.submit(work, *args, **kwargs)
    try:
        return future.result(timeout=max(0.0, until - time.monotonic()))
    except TimeoutError:
        future.cancel()
        raise


def predictor_of(artefact_hash: str) -> Predictor:
    """Of any version whose artefact is still kept. LynceusError where it is not, or is not whole."""
    serving = _loaded
    if serving is not None and serving.artefact_hash == artefact_hash:
        return serving.predictor
    try:
        return _load(artefact_folder(artefact_hash), artefact_hash)
    except ArtefactError as error:
        raise LynceusError(f"artefact_{error.code}", error.message, status=409) from error


@lru_cache(maxsize=1)
def challenger(artefact_hash: str) -> Predictor:
    """As `predictor_of`, and kept: what follows live traffic asks for it every few seconds."""
    return predictor_of(artefact_hash)


def _load(folder: Path, artefact_hash: str) -> Predictor:
    # By name and only now: XGBoost must not come with the URLconf.
    predictor: Predictor = load("ml.fraud.predict:FraudPredictor").load(folder, artefact_hash)
    return predictor


def score_in_time(
    model: Champion, events: Sequence[Event], states: States, until: float | None
) -> Answer | None:
    """As `score`; None where it would last beyond `until` (time.monotonic; None waits)."""
    try:
        return _in_time(until, score, model, events, states)
    except TimeoutError:
        return None


def score(model: Champion, events: Sequence[Event], states: States) -> Answer:
    """Score in the given order. An event the model cannot score gets None and touches no state."""
    scores: tuple[EventScore | None, ...]
    try:
        result = model.predictor.score_batch(events, states, explain=False)
        scores = tuple(_usable(one) for one in result.scores)
        states = result.states
    except Exception:
        log.exception("batch_not_scored", events=len(events))
        scores, states = _score_singly(model, events, states)
    return Answer(model.number, model.artefact_hash, model.predictor.thresholds, scores, states)


def explain_in_time(
    model: Champion, vectors: Sequence[Vector], until: float | None
) -> list[tuple[Reason, ...]]:
    """The reasons of each; none where there is no time left, or the model fails on them."""
    return _told(until, vectors, model.predictor.explain)


def influences_in_time(
    model: Champion, vectors: Sequence[Vector], histories: Sequence[Matrix], until: float | None
) -> list[Influence]:
    """What each one's earlier events did to it; none as in `explain_in_time`."""
    return _told(until, vectors, lambda rows: model.predictor.influences(rows, histories))


def _told(until: float | None, vectors: Sequence[Vector], work: Callable[[Matrix], list[T]]) -> list[T]:
    if not vectors:
        return []
    try:
        return _in_time(until, work, np.stack(vectors))
    except TimeoutError:
        return []
    except Exception:  # the score stands, whatever is wrong with its explanation
        log.exception("scores_not_explained", events=len(vectors))
        return []


def _score_singly(
    model: Champion, events: Sequence[Event], states: States
) -> tuple[tuple[EventScore | None, ...], States]:
    scores: list[EventScore | None] = []
    states = dict(states)
    for event in events:
        try:
            result = model.predictor.score_batch([event], states, explain=False)
            scores.append(_usable(result.scores[0]))
        except Exception as error:
            log.warning("event_not_scored", error=type(error).__name__)
            scores.append(None)
        else:
            states.update(result.states)
    return tuple(scores), states


def _usable(one: EventScore) -> EventScore:
    if not (math.isfinite(one.score) and 0.0 <= one.score <= 1.0):
        raise ValueError("the score is not a probability")
    return one


def learn(rows: Sequence[FraudLabel], states: States) -> BatchResult:
    """The states once they know of these labels, in this order. No model takes part in it."""
    learn_batch = load("ml.fraud.predict:learn_batch")
    result: BatchResult = learn_batch([label_of(row) for row in rows], states)
    return result


def take_back(rows: Sequence[Reversal], states: States) -> BatchResult:
    """The states once these are taken back. No model takes part in it."""
    take_back_batch = load("ml.fraud.predict:take_back_batch")
    result: BatchResult = take_back_batch([reversal_of(row) for row in rows], states)
    return result
