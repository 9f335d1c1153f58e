"""Lighter forms of a trained network, made and judged beside it when training ends.

A form's answers are the artefact's: the manifest keeps its AUC, and whether it lost too much. How fast it is
belongs to the machine that measured it, and goes with the version in its book; so two trainings that end
alike give the same artefact. Everything here looks at training and validation films only.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ml.common.metrics import bootstrap_intervals, roc_auc
from ml.radiology.dataset import Films
from ml.radiology.folds import logits_of
from ml.radiology.int8 import int8_bytes
from ml.radiology.model import OUTPUTS, Network, Served
from ml.radiology.predict import FULL, GOLDEN_ATOL, INT8, THREADS, of_variant, onnx_session
from ml.radiology.readout import Readout, Rows
from ml.radiology.transforms import Bytes

TORCH = "torch"
CALIBRATION_FILMS = 128
BATCH = 16
AUC_LOSS_MAX = 0.003
ROUNDS, SINGLE_A_ROUND = 9, 3
BOOTSTRAP = 200
Floats = npt.NDArray[np.floating]
Run = Callable[[Floats], object]
Learn = Callable[[Any], Readout]


@dataclass(frozen=True, slots=True)
class Judged:
    """`files` and `meta` go into the artefact; `profile` is what this machine measured: for each form its
    size, times and AUC with intervals, and the one chosen."""

    files: Mapping[str, bytes]
    meta: Mapping[str, Any]
    profile: Mapping[str, Any]


def judge_variants(
    network: Network, onnx: bytes, full: Readout, learn: Learn, labels: list[str], films: Films, rows: Rows,
    golden: Bytes, seed: int,
) -> Judged:  # fmt: skip
    """`learn` makes the readout of a session of another form, as `full` was made. Where a network cannot be
    had in integers nothing is judged."""
    try:
        lighter = int8_bytes(onnx, calibration_batches(films, rows))
        session = onnx_session(lighter)
    except Exception as error:  # whatever a quantiser does not know of a network: its training is not lost
        return Judged({}, {INT8: {"accurate": False, "not_made": type(error).__name__}}, {})
    light = learn(session)
    logits = {
        TORCH: logits_of(network, films, rows.val),
        FULL: full.logits(films.squares[rows.val]),
        INT8: light.logits(films.squares[rows.val]),
    }
    aucs = aucs_of(logits, films.labels[rows.val], [rows.patients[row] for row in rows.val], seed)
    loss = aucs[INT8]["auc_loss"]
    accurate = loss is not None and loss <= AUC_LOSS_MAX
    sizes = {TORCH: _weight_bytes(network), FULL: len(onnx), INT8: len(lighter)}
    times = times_of(network, {FULL: full.session, INT8: session}, _sixteen(films, rows))
    table: dict[str, dict[str, Any]] = {
        name: {"mb": sizes[name] / 1e6, **times[name], **aucs[name]} for name in logits
    }
    accepted = accurate and faster(times[INT8], times[FULL])
    table[FULL]["accepted"], table[INT8]["accepted"] = True, accepted
    profile = {"variants": table, "chosen": INT8 if accepted else FULL}
    meta: dict[str, Any] = {**aucs[INT8], "accurate": accurate}
    if not accurate:
        return Judged({}, {INT8: meta}, profile)
    moved = light.logits(golden) - full.logits(golden)
    # On a processor that rounds otherwise, answers move by a part of what the integers moved them.
    meta |= {
        **light.meta(labels),
        "golden_atol": max(GOLDEN_ATOL, float(np.sqrt(np.mean(moved**2)))),
        "calibrated_on": min(CALIBRATION_FILMS, len(rows.train)),
    }
    head = network.head_module().weight.detach().numpy()
    files = {"model.onnx": lighter, **light.files(head, golden)}
    return Judged({of_variant(name, INT8): each for name, each in files.items()}, {INT8: meta}, profile)


def calibration_batches(films: Films, rows: Rows) -> list[Floats]:
    """Real films of the training part, evenly picked, as the network sees them."""
    picked = rows.train[:: max(1, len(rows.train) // CALIBRATION_FILMS)][:CALIBRATION_FILMS]
    return [
        films.preprocessing.normalise(films.squares[picked[i : i + BATCH]])
        for i in range(0, len(picked), BATCH)
    ]


def aucs_of(
    logits: Mapping[str, Floats], labels: Floats, patients: list[str], seed: int
) -> dict[str, dict[str, Any]]:
    """Of each form the AUC, averaged over findings, and what it loses against FULL; intervals over patients,
    all forms on the same draws."""

    def of(drawn: Any) -> dict[str, float | None]:
        each = {name: mean_auc(labels[drawn], of_one[drawn]) for name, of_one in logits.items()}
        full = each[FULL]
        lost = {n: None if a is None or full is None else full - a for n, a in each.items()}
        return {**{f"{n} auc": a for n, a in each.items()}, **{f"{n} auc_loss": a for n, a in lost.items()}}

    values = of(np.arange(len(labels)))
    intervals = bootstrap_intervals(of, patients, rounds=BOOTSTRAP, seed=seed)
    return {
        name: {
            **{key: values[f"{name} {key}"] for key in ("auc", "auc_loss")},
            "intervals": {
                key: list(intervals[f"{name} {key}"])
                for key in ("auc", "auc_loss")
                if f"{name} {key}" in intervals
            },
        }
        for name in logits
    }


def mean_auc(labels: Floats, logits: Floats) -> float | None:
    """Over the findings whose AUC is defined; labels (n, findings) NaN where unknown."""
    known = ~np.isnan(labels)
    each = [
        roc_auc(labels[rows, i].astype(int), logits[rows, i]) for i, rows in enumerate(known.T) if rows.any()
    ]
    defined = [one for one in each if one is not None]
    return float(np.mean(defined)) if defined else None


def faster(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    """A film alone and sixteen together."""
    return all(one[name] < other[name] for name in ("ms_1", "ms_16"))


def times_of(network: Network, sessions: Mapping[str, Any], films: Floats) -> dict[str, dict[str, float]]:
    """Of torch and each session: median ms for one film and for sixteen, and seconds of processor time for a
    thousand, on as many threads as serve. They take turns, so that what else the machine does meets all."""
    served = Served(network).eval()
    runs: dict[str, Run] = {TORCH: lambda given: served(torch.from_numpy(given))}
    for name, session in sessions.items():
        runs[name] = partial(_ask, session)
    threads = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        with torch.no_grad():
            return timed(runs, films)
    finally:
        torch.set_num_threads(threads)
        served.let_go()


def timed(runs: Mapping[str, Run], films: Floats) -> dict[str, dict[str, float]]:
    for run in runs.values():
        run(films)
        run(films[:1])
    single: dict[str, list[float]] = {name: [] for name in runs}
    together: dict[str, list[float]] = {name: [] for name in runs}
    cpu_s = dict.fromkeys(runs, 0.0)
    for _ in range(ROUNDS):
        for name, run in runs.items():
            single[name] += [_took_ms(run, films[:1]) for _ in range(SINGLE_A_ROUND)]
            before = time.process_time()
            together[name].append(_took_ms(run, films))
            cpu_s[name] += time.process_time() - before
    return {
        name: {
            "ms_1": statistics.median(single[name]),
            "ms_16": statistics.median(together[name]),
            "cpu_s_per_1000": 1000 * cpu_s[name] / (ROUNDS * len(films)),
        }
        for name in runs
    }


def _ask(session: Any, given: Floats) -> object:
    return session.run(list(OUTPUTS), {"films": given})


def _took_ms(run: Run, films: Floats) -> float:
    begun = time.perf_counter()
    run(films)
    return 1000 * (time.perf_counter() - begun)


def _sixteen(films: Films, rows: Rows) -> Floats:
    return films.preprocessing.normalise(films.squares[np.resize(rows.val, BATCH)])


def _weight_bytes(network: Network) -> int:
    return sum(one.numel() * one.element_size() for one in network.module.state_dict().values())
