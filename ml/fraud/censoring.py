"""What was declined never shows what it was: such a payment is unknown, and measures say how many there are.

A random sample of what would have been declined may have been let through; each of it stands for as many as
its probability of being drawn says (Horvitz and Thompson 1952), and for the declined payments among them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.floating]
Mask = npt.NDArray[np.bool_]


def unconfirmed(frame: pd.DataFrame) -> Mask:
    """(n,) declined and called legitimate by nobody in particular."""
    legitimate = (frame["fraud"] == 0).fillna(False).to_numpy(bool)
    return _declined(frame) & legitimate & (frame["label_source"] == "").to_numpy()


def weights_of(frame: pd.DataFrame) -> Floats | None:
    """(n,) how many payments each stands for; None where no sample was let through, so that all are alike.

    With a sample, declined payments count nothing even where one was confirmed: the sample stands for them,
    and what is confirmed of them is not drawn but found.
    """
    passed = _passed(frame)
    if not passed.any():
        return None
    return np.where(_declined(frame), 0.0, 1.0 / frame["selection_probability"].to_numpy(np.float64))


def shares_of(frame: pd.DataFrame) -> dict[str, Any]:
    """How much of the rows (n,) can never be known; no shares where nobody says what was decided."""
    if "outcome" not in frame or (frame["outcome"] == "").all():
        return {"n_censored": None, "censored_share": None, "censored_value_share": None,
                "n_passed_through": None}  # fmt: skip
    censored = _declined(frame) & frame["fraud"].isna().to_numpy()
    amounts = frame["amount_minor"].to_numpy(np.float64)
    value = float(amounts[censored].sum() / amounts.sum()) if amounts.sum() else None
    return {
        "n_censored": int(censored.sum()),
        "censored_share": float(censored.mean()),
        "censored_value_share": value,
        "n_passed_through": int(_passed(frame).sum()),
    }


def _declined(frame: pd.DataFrame) -> Mask:
    """Sets frozen before there was such a column do not say what was decided."""
    return (frame["outcome"] == "decline").to_numpy() if "outcome" in frame else np.zeros(len(frame), bool)


def _passed(frame: pd.DataFrame) -> Mask:
    if "selection_probability" not in frame:
        return np.zeros(len(frame), bool)
    return (frame["selection_probability"] < 1).to_numpy()
