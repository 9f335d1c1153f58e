"""Where a job stands, in words and lengths of time: what its page and the list of jobs show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from apps.core.clock import now
from apps.core.words import counted
from apps.modelops.common.selectors import Curves
from apps.modelops.models import TrainingJob
from apps.modelops.registry import Domain

Status = TrainingJob.Status
Events = Sequence[tuple[datetime, Mapping[str, Any]]]
NOTHING_AFTER = 3  # epochs without learning before the page says so
STOPPED = {Status.PAUSED: "paused", Status.CANCELLED: "cancelled"}
STALLED_AFTER = 2  # epochs without a better validation before the page says so

ADVICE = {
    "dataset_changed": "The frozen files were edited or lost. Import the data again under a new name.",
    "out_of_memory": "Train again with a smaller batch or a smaller network.",
    "disk_failed": "The operator makes room on the disk or mends it; then resume it.",
    "process_died": (
        "It was killed, perhaps for memory. Once its cause is mended, resume it; the operator finds its log"
        " in the job's folder."
    ),
    "gave_up": "Look for a shortage of memory on the machine that trains, then resume it.",
    "training_error": "Mend what the message names, in the data or the parameters, and train again.",
    "invalid_params": "Train again with other parameters.",
}
ADVICE_ELSE = "Train again; if it fails again, tell the operator this code and the job's number."


@dataclass(frozen=True, slots=True)
class Step:
    title: str
    state: str  # done | now | failed | ""


@dataclass(frozen=True, slots=True)
class Standing:
    """`value` of `total` is what the bar shows, in `unit`; rate is in `rate_unit` per second."""

    phase: str
    unit: str
    value: int | None
    total: int | None
    rate: float | None
    rate_unit: str
    left_s: float | None
    message: str
    learning_rate: float | None
    usage: Mapping[str, float]  # cores, memory_mb and, of a graphics card, card_memory_mb


def standing_of(job: TrainingJob, domain: Domain) -> Standing:
    told = job.progress
    phase = domain.phase(told.get("phase", ""))
    by_epoch = told.get("epoch") is not None
    return Standing(
        phase=phase.title,
        unit=phase.unit if by_epoch else "step",
        value=told.get("epoch" if by_epoch else "step"),
        total=told.get("epochs" if by_epoch else "steps"),
        rate=told.get("rate"),
        rate_unit=told.get("rate_unit", "items"),
        left_s=told.get("eta_s"),
        message=told.get("message", ""),
        learning_rate=told.get("learning_rate"),
        usage=told.get("usage", {}),
    )


def steps_of(job: TrainingJob, domain: Domain, events: Events) -> list[Step]:
    """The domain's announced phases, or those heard of, and how far the job is among them."""
    heard = list(dict.fromkeys(payload["phase"] for _, payload in events if payload.get("phase")))
    announced = [phase.name for phase in domain.phases] if job.fold is None else []  # of making a version
    names = announced or [name for name in heard if name != "done"]
    at = names.index(job.progress["phase"]) if job.progress.get("phase") in names else -1
    if job.status == Status.SUCCEEDED:
        at = len(names)
    here = {Status.RUNNING: "now", Status.FAILED: "failed"}.get(Status(job.status), "")
    states = ["done" if i < at else here if i == at else "" for i in range(len(names))]
    return [Step(domain.phase(name).title, state) for name, state in zip(names, states, strict=True)]


def took_s(job: TrainingJob) -> float | None:
    return ((job.finished_at or now()) - job.started_at).total_seconds() if job.started_at else None


def shares_of(job: TrainingJob, domain: Domain, events: Events, curves: Curves) -> list[dict[str, Any]]:
    """Shares of time, with seconds: inside a training step where the trainer measured that, else by phase."""
    for metrics in reversed(curves.values()):
        spent = {
            name.removeprefix("seconds_"): sum(seconds for _, seconds in points)
            for name, points in metrics.items()
            if name.startswith("seconds_")
        }
        if spent:
            return _shares(spent)
    return _shares(_seconds_by_phase(job, domain, events))


def _seconds_by_phase(job: TrainingJob, domain: Domain, events: Events) -> dict[str, float]:
    """A line without a phase ends one: it was put back, laid aside or queued again."""
    if not job.started_at:
        return {}
    starts = [(job.started_at, "start-up")]
    for at, payload in events:
        phase = domain.phase(payload["phase"]).title if payload.get("phase") else ""
        if payload.get("phase") != "done" and phase != starts[-1][1]:
            starts.append((at, phase))
    ends = [at for at, _ in starts[1:]] + [job.finished_at or now()]
    spent: dict[str, float] = {}
    for (at, phase), end in zip(starts, ends, strict=True):
        if phase:
            spent[phase] = spent.get(phase, 0.0) + max(0.0, (end - at).total_seconds())
    return spent


def _shares(spent: Mapping[str, float]) -> list[dict[str, Any]]:
    whole = sum(spent.values())
    return [{"name": n, "share": s / whole, "seconds": s} for n, s in spent.items()] if whole else []


def sentence_of(job: TrainingJob, domain: Domain, curves: Curves, ahead: int) -> str:
    """What is going on, in one sentence that the numbers bear out."""
    if job.status == Status.QUEUED:
        return (
            f"It waits for {counted(ahead, 'job')} before it."
            if ahead
            else "It is next: the training worker takes it as soon as it is free."
        )
    if job.status == Status.RUNNING:
        if job.cancel_requested:
            return "It was asked to stop and does so between two batches."
        if job.pause_requested:
            return "It was asked to pause and does so between two batches."
        if not job.progress:
            return "The training process is starting."
    if job.status in STOPPED:
        return _of_the_stopped(job, domain)
    phase = job.progress.get("phase", "")
    drawn = phase if phase in curves else next(reversed(curves), "")
    open_phase = job.status == Status.RUNNING and drawn == phase
    said = _of_curve(curves[drawn], domain.phase(drawn).unit, open_phase) if drawn else ""
    return said if said or job.status != Status.RUNNING else f"At work on: {domain.phase(phase).title}."


def _of_the_stopped(job: TrainingJob, domain: Domain) -> str:
    how = STOPPED[Status(job.status)]
    if not job.progress:
        return f"It was {how} before it began to learn."
    at = standing_of(job, domain)
    where = f", {at.unit} {at.value} of {at.total}" if at.total else ""
    return f"It was {how} at {at.phase}{where}."


def _of_curve(metrics: Mapping[str, list[list[float]]], unit: str, going_on: bool) -> str:
    watched = next((n for n in metrics if n.startswith("val_") and "loss" in n), None)
    if watched is None:
        return _of_training_loss(metrics.get("train_loss", []), unit)
    points = metrics[watched]
    best, value = min(points, key=lambda point: point[1])
    last = points[-1][0]
    learnt = metrics.get("train_loss", [])
    if _never_fell(learnt):
        return (
            f"Nothing is learnt: training loss was {learnt[0][1]:.4g} at first and is {learnt[-1][1]:.4g} at"
            f" {unit} {learnt[-1][0]:g}. Another rate, weights to start from or better labels may help."
        )
    if last - best >= STALLED_AFTER and len(points) > 2:
        said = (
            f"Validation loss stopped falling at {unit} {best:g}: it was {value:.4g} there and"
            f" {points[-1][1]:.4g} at {unit} {last:g}."
        )
        return said + _of_the_gap(learnt, best, points[-1][1], value)
    if len(points) < 2:
        return f"Validation loss is {value:.4g} after {unit} {last:g}."
    if last == best and going_on:
        return f"Validation loss is still falling: {value:.4g} at {unit} {last:g} is the lowest so far."
    return f"Validation loss was lowest at {unit} {best:g} ({value:.4g})."


def _never_fell(points: list[list[float]]) -> bool:
    """Whether several epochs brought training loss down by less than a hundredth."""
    return len(points) > NOTHING_AFTER and min(y for _, y in points[1:]) > 0.99 * points[0][1]


def _of_the_gap(learnt: list[list[float]], best: float, now_lost: float, then_lost: float) -> str:
    """Overfitting, if since the best epoch training loss went on falling and validation loss rose."""
    at_best = next((y for x, y in learnt if x == best), None)
    if at_best is None or learnt[-1][1] > 0.95 * at_best or now_lost < 1.02 * then_lost:
        return ""
    return (
        f" Training loss fell on from {at_best:.4g} to {learnt[-1][1]:.4g}: it is overfitting, learning the"
        " training examples by heart. More data, more augmentation, dropout or weight decay may help."
    )


def _of_training_loss(points: list[list[float]], unit: str) -> str:
    if len(points) < 2:
        return ""
    first, last = points[0], points[-1]
    verb = "fell" if last[1] < first[1] else "did not fall"
    return (
        f"Training loss {verb}: {first[1]:.4g} at {unit} {first[0]:g}, {last[1]:.4g} at {unit} {last[0]:g}."
    )


def advice_for(job: TrainingJob) -> str:
    return ADVICE.get(job.error_code, ADVICE_ELSE)
