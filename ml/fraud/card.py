"""What every fraud model's card says of its use and its limits, whatever it was trained on."""

from __future__ import annotations

INTENDED_USE = (
    "Gives each card payment a score as it arrives, which sends some payments to a person and declines a few,"
    " with reasons an analyst can check.",
    "For fraud analysts of the site, with rules and review beside it. Not for judging a person, not for"
    " credit, not for deciding alone.",
)
LIMITS = (
    "It is research software. Its numbers are of the data named here and say nothing of other issuers,"
    " channels or times.",
    "What was declined never shows what it was: such payments are unknown, teach nothing and are measured"
    " nowhere.",
    "Fraud changes. Numbers of past days flatter a model that serves months later; the overview shows drift.",
    "Of a card, terminal or device it has not seen it knows only what one payment tells.",
    "Scores are for payments with their history. What is decided without it lies apart and is marked so.",
)
