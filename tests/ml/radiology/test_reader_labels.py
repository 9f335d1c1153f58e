"""Which marks of a read are labels, and what stands where readers differ."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ml.radiology.reader_labels import (
    WORDS,
    Label,
    Marked,
    ReadFacts,
    Why,
    labels_of,
    resolved,
    why_no_label,
    why_not_this,
)

AT = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
READ = ReadFacts(reader=7, committed_at=AT, exposure="rank")


def marked(label: str, verdict: str, minutes: int = -5, *, after: bool = False) -> Marked:
    return Marked(label, verdict, AT + timedelta(minutes=minutes), after)


def test_it_works() -> None:
    """Each label knows who said it and when; unsure and unmarked are unknown."""
    said = labels_of(READ, [marked("A", "present"), marked("B", "absent", -3), marked("C", "unsure")])
    assert said == {
        "A": Label(True, 7, AT - timedelta(minutes=5)),
        "B": Label(False, 7, AT - timedelta(minutes=3)),
    }


def test_the_last_word_before_the_commit_stands() -> None:
    marks = [marked("A", "present"), marked("A", "absent", -1), marked("B", "present"), marked("B", "", -1)]
    assert {label: one.present for label, one in labels_of(READ, marks).items()} == {"A": False}


@pytest.mark.parametrize("mark", [marked("A", "present", 1), marked("A", "present", -1, after=True)])
def test_what_was_said_after_the_reveal_is_no_label(mark: Marked) -> None:
    assert {label: one.present for label, one in labels_of(READ, [marked("A", "absent"), mark]).items()} == {
        "A": False
    }


@pytest.mark.parametrize("exposure", ["none", "rank"])
def test_blind_is_who_could_not_know_a_finding(exposure: str) -> None:
    assert labels_of(replace(READ, exposure=exposure), [marked("A", "present")])


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"committed_at": None, "exposure": ""}, Why.DRAFT),
        ({"exposure": "finding"}, Why.NOT_BLIND),
        ({"exposure": "full"}, Why.NOT_BLIND),
        ({"retracted": True}, Why.RETRACTED),
        ({"withdrawn": True}, Why.WITHDRAWN),
        ({"rejected": True}, Why.REJECTED),
        ({"in_question": True}, Why.IN_QUESTION),
    ],
)
def test_a_read_that_may_not_teach_says_nothing(change, why: Why) -> None:
    read = replace(READ, **change)
    assert why_no_label(read) == why
    assert labels_of(read, [marked("A", "present")]) == {}
    assert why_no_label(READ) is None


def test_each_reason_has_words() -> None:
    assert set(WORDS) == set(Why)


def said(present: bool, reader: int = 1, minutes: int = 0) -> dict[str, Label]:
    return {"A": Label(present, reader, AT + timedelta(minutes=minutes))}


def test_readers_who_agree_are_one_label_of_the_earlier_and_who_contradict_none() -> None:
    assert resolved([said(True, 2, 5), said(True, 1)], {}) == said(True, 1)
    assert resolved([said(True), said(False, 2)], {}) == {}
    assert resolved([said(True), {}], {}) == said(True)


def test_what_was_settled_stands_whatever_was_read() -> None:
    settled = Label(False, 9, AT, adjudicated=True)
    assert resolved([said(True), said(True, 2)], {"A": settled}) == {"A": settled}
    assert resolved([said(True)], {"A": None}) == {}


def test_why_one_word_is_no_label() -> None:
    one, other = said(True), said(False, 2)
    absent = Label(False, 9, AT, adjudicated=True)
    assert why_not_this("A", one["A"], [one], {}) is None
    assert why_not_this("A", one["A"], [one, other], {}) == Why.DISAGREEMENT
    assert why_not_this("A", one["A"], [one, other], {"A": absent}) == Why.OVERRULED
    assert why_not_this("A", other["A"], [one, other], {"A": absent}) is None
    assert why_not_this("A", one["A"], [one], {"A": None}) == Why.CANNOT_TELL
