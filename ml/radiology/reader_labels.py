"""Which reads teach, and what: the rules by which a radiologist's marks become labels.

A label was said before its reader could know what the model found, it was committed, and it still stands.
What nobody marked and what a reader was unsure of is unknown, which is not absent. Nothing else decides what
a dataset of reads holds, so a measure and a training set cannot disagree about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

PRESENT, ABSENT = "present", "absent"
# One reader's slip on a film of a thin sample must not outweigh a ward's worth of others.
WEIGHT_MAX = 10.0
BLIND = ("none", "rank")  # exposures; a finding named or shown is known


class Why(StrEnum):
    """Why a whole read, or one mark of it, is no label."""

    DRAFT = "draft"
    RETRACTED = "retracted"
    NOT_BLIND = "not_blind"
    WITHDRAWN = "withdrawn"
    REJECTED = "rejected"
    IN_QUESTION = "in_question"
    NO_FILM = "no_film"
    UNSURE = "unsure"
    DISAGREEMENT = "disagreement"
    CANNOT_TELL = "cannot_tell"
    OVERRULED = "overruled"


WORDS = {
    Why.DRAFT: "not committed yet",
    Why.RETRACTED: "retracted: it was of the wrong patient",
    Why.NOT_BLIND: "what the model found was open before the commit",
    Why.WITHDRAWN: "the study is withdrawn",
    Why.REJECTED: "a film of the study was rejected after it was sent",
    Why.IN_QUESTION: "whose study it is, is in question",
    Why.NO_FILM: "the study has no film a model can learn from",
    Why.UNSURE: "nothing was marked present or absent before the commit",
    Why.DISAGREEMENT: "two readers disagree and nobody has settled it",
    Why.CANNOT_TELL: "settled as: cannot be told from this film",
    Why.OVERRULED: "settled otherwise",
}


@dataclass(frozen=True, slots=True)
class ReadFacts:
    """What the rules ask of a read and its study. `exposure` is empty until the commit."""

    reader: int
    committed_at: datetime | None
    exposure: str
    retracted: bool = False
    withdrawn: bool = False
    rejected: bool = False
    in_question: bool = False


@dataclass(frozen=True, slots=True)
class Marked:
    """One mark, in the order they were made. An empty verdict takes back the one before it."""

    label: str
    verdict: str
    at: datetime
    after_reveal: bool = False


@dataclass(frozen=True, slots=True)
class Label:
    """`present` of one finding, with who said so and when. `adjudicated`: it settles what was disputed."""

    present: bool
    reader: int
    at: datetime
    adjudicated: bool = False


def why_no_label(read: ReadFacts) -> Why | None:
    """None: its marks may be labels."""
    if read.committed_at is None:
        return Why.DRAFT
    reasons = (
        (read.retracted, Why.RETRACTED),
        (read.exposure not in BLIND, Why.NOT_BLIND),
        (read.withdrawn, Why.WITHDRAWN),
        (read.rejected, Why.REJECTED),
        (read.in_question, Why.IN_QUESTION),
    )
    return next((why for holds, why in reasons if holds), None)


def standing_marks(marks: Iterable[Marked], committed_at: datetime) -> dict[str, Marked]:
    """By finding the last that was said before the commit."""
    before = (one for one in marks if not one.after_reveal and one.at <= committed_at)
    return {one.label: one for one in before}


def labels_of(read: ReadFacts, marks: Iterable[Marked]) -> dict[str, Label]:
    """What this read says, by finding; nothing where it may not."""
    if read.committed_at is None or why_no_label(read) is not None:
        return {}
    return {
        label: Label(one.verdict == PRESENT, read.reader, one.at)
        for label, one in standing_marks(marks, read.committed_at).items()
        if one.verdict in (PRESENT, ABSENT)
    }


def agreed(reads: Sequence[Mapping[str, Label]]) -> dict[str, Label]:
    """What readers say together, by finding, the earliest of them named; nothing where two contradict."""
    said: dict[str, list[Label]] = {}
    for read in reads:
        for label, one in read.items():
            said.setdefault(label, []).append(one)
    return {
        label: min(ones, key=lambda one: one.at)
        for label, ones in said.items()
        if len({one.present for one in ones}) == 1
    }


def resolved(reads: Sequence[Mapping[str, Label]], settled: Mapping[str, Label | None]) -> dict[str, Label]:
    """As `agreed`, but what was `settled` stands, whatever was read; None there is settled as unknown."""
    found = {**agreed(reads), **settled}
    return {label: one for label, one in found.items() if one is not None}


def why_not_this(label: str, said: Label, reads: Sequence[Mapping[str, Label]],
                 settled: Mapping[str, Label | None]) -> Why | None:  # fmt: skip
    """Why what one read says of a finding is no label; None where it is."""
    if label in settled:
        final = settled[label]
        if final is None:
            return Why.CANNOT_TELL
        return None if final.present == said.present else Why.OVERRULED
    return None if label in agreed(reads) else Why.DISAGREEMENT


def weight_of(chance: float | None) -> float:
    """How many films one stands for in the loss: 1 over the probability with which chance drew its study,
    `WEIGHT_MAX` at most. What was read without a draw, None, stands for itself: nobody knows its chance."""
    return 1.0 if chance is None else min(1.0 / chance, WEIGHT_MAX)


def told_of_weights(weights: Sequence[float]) -> dict[str, float]:
    """For a dataset's manifest, and whoever asks what a model learnt from."""
    return {
        "cap": WEIGHT_MAX,
        "films that weigh more than 1": sum(one > 1 for one in weights),
        "heaviest": max(weights, default=1.0),
        "sum of all": round(sum(weights), 3),
    }
