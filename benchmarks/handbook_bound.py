"""What could be had at best: Bayes' posterior of one who knows how the handbook's frauds were made.

    1  A payment over 220 is fraud.
    2  Each day two of the 10,000 terminals are compromised: for 28 days all their payments are fraud.
    3  Each day three of the 5,000 cards are stolen: for 14 days a third of their amounts are times five.

It knows these rules and rates, and that a card's amounts are normal with half their mean as deviation; of
labels only those known by then. It is not a model of ours: it only shows how much there is to be found.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from benchmarks.handbook_protocol import DELAY_DAYS, Floats, Handbook, Rows

LIMIT, TIMES, SHARE = 220.0, 5.0, 1 / 3
TERMINAL_RATE, TERMINAL_DAYS = 2 / 10_000, 28
CARD_RATE, CARD_DAYS = 3 / 5_000, 14
AT_TERMINAL = TERMINAL_RATE * TERMINAL_DAYS  # a payment's chance to fall to rule 2 when nothing is known
MULTIPLIED = CARD_RATE * CARD_DAYS * SHARE  # and to rule 3
NEGATIVE = 0.02275  # of a normal amount's draws; they are drawn again, uniformly to twice the mean
MEANS = np.linspace(5, 100, 96)
UNLIKELY = 1e-9
DAY_US = 86_400_000_000
Values = npt.NDArray[np.float64]


def posterior(book: Handbook) -> Floats:
    """The chance (n,) that each payment is fraud, of what is known when it is made."""
    amount = book.events["amount_minor"].to_numpy() / 100
    at_us = book.events["occurred_at"].astype("int64").to_numpy()
    terminal = np.unique(book.events["terminal_id"], return_inverse=True)[1]
    large = amount > LIMIT
    ratio = _ratio(amount, book.card)
    by_card = _Order(book.card, book.day, at_us)
    now, later = _stolen(by_card, ratio, large, book.fraud == 1)
    by_terminal = _Order(terminal, book.day, at_us)
    compromised = _compromised(by_terminal, np.maximum(_multiplied(later, ratio), large), book.fraud == 1)
    return 1 - (1 - large) * (1 - compromised) * (1 - _multiplied(now, ratio))


class _Order:
    """Rows sorted by owner (a card or terminal) and time; places are positions in that order."""

    def __init__(self, owner: npt.NDArray[np.integer], day: npt.NDArray[np.integer], at_us: Rows) -> None:
        self.rows = np.lexsort((at_us, owner))
        self.day = day[self.rows].astype(np.int64)
        self._owner, self._at = owner[self.rows].astype(np.int64), at_us[self.rows] - at_us.min()
        self._of_day = self._owner * 1000 + self.day
        self.here = np.arange(len(owner))
        self.known = self._place_of(self._at - DELAY_DAYS * DAY_US)  # labels before this place are known

    def begin(self, day: npt.NDArray[np.int64]) -> Rows:
        """Of each row's owner, the place of the first payment on or after a day (n,)."""
        return np.searchsorted(self._of_day, self._owner * 1000 + np.maximum(day, 0))

    def _place_of(self, at_us: Rows) -> Rows:
        span = np.int64(1000) * DAY_US
        return np.searchsorted(
            self._owner * span + self._at, self._owner * span + np.maximum(at_us, -1), "right"
        )

    def back(self, values: Values) -> Values:
        out = np.empty(len(values))
        out[self.rows] = values
        return out


def _ratio(amount: Values, card: npt.NDArray[np.int32]) -> Values:
    """Of each amount's likelihoods when multiplied and when not, by what its card paid before (n,)."""
    out = np.empty(len(amount))
    order = np.argsort(card, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(card[order])) + 1):
        plain = _density(amount[rows, None], MEANS)
        multiplied = _density(amount[rows, None] / TIMES, MEANS) / TIMES
        seen = np.cumsum(np.log((1 - MULTIPLIED) * plain + MULTIPLIED * multiplied + 1e-300), 0)
        before = np.vstack([np.zeros(len(MEANS)), seen[:-1]])
        weight = np.exp(before - before.max(1, keepdims=True))
        out[rows] = (weight * multiplied).sum(1) / ((weight * plain).sum(1) + 1e-300)
    return np.minimum(out, 1e9)


def _density(amount: Values, mean: Values) -> Values:
    normal = np.exp(-0.5 * ((amount - mean) / (mean / 2)) ** 2) / (mean / 2 * np.sqrt(2 * np.pi))
    return normal + np.where(amount <= 2 * mean, NEGATIVE / (2 * mean), 0)


def _multiplied(stolen: Values, ratio: Values) -> Values:
    """The chance of rule 3 given that of a stolen card before the amount was seen."""
    yes = stolen * SHARE * ratio
    return yes / (yes + stolen * (1 - SHARE) + 1 - stolen)


def _stolen(
    order: _Order, ratio: Values, large: npt.NDArray[np.bool_], fraud: npt.NDArray[np.bool_]
) -> tuple[Values, Values]:
    """The chance that a card is stolen at each payment, of what is known just before, and a week later."""
    unseen = np.log(1 - SHARE + SHARE * ratio)
    otherwise = np.where(large, 1, AT_TERMINAL)
    told = np.where(fraud, np.log((1 - SHARE) + SHARE * ratio / otherwise), np.log(1 - SHARE))
    unseen, told = unseen[order.rows], told[order.rows]
    sums, sums_told = (np.concatenate([[0], np.cumsum(of)]) for of in (unseen, told))
    now, later = np.zeros((2, len(ratio)))
    week = order.begin(order.day + DELAY_DAYS)
    for back in range(CARD_DAYS):
        first, end = order.begin(order.day - back), order.begin(order.day - back + CARD_DAYS)
        known = np.maximum(order.known, first)
        now += CARD_RATE * np.exp(
            sums_told[known] - sums_told[first] + sums[order.here] - sums[np.minimum(known, order.here)]
        )
        later += CARD_RATE * np.exp(sums[np.minimum(end, week)] - sums[first] - unseen)
    return order.back(now / (1 + now)), order.back(later / (1 + later))


def _compromised(order: _Order, by_card: Values, fraud: npt.NDArray[np.bool_]) -> Values:
    """The chance that each payment's terminal is compromised; `by_card` is that of another reason."""
    accuses = np.where(fraud, -np.log(np.maximum(by_card, UNLIKELY)), 0)[order.rows]
    sums = np.concatenate([[0], np.cumsum(accuses)])
    goods = np.concatenate([[0], np.cumsum(~fraud[order.rows])])
    still, other, anew = np.zeros((3, len(fraud)))
    for back in range(2 * TERMINAL_DAYS + DELAY_DAYS):
        first = np.minimum(order.begin(order.day - back), order.known)
        end = np.minimum(order.begin(order.day - back + TERMINAL_DAYS), order.known)
        possible, told = goods[order.known] == goods[first], sums[end] > sums[first]
        weight = TERMINAL_RATE * np.where(
            possible & told, np.exp(np.minimum(sums[end] - sums[first], 500)), 0
        )
        if back < TERMINAL_DAYS:
            still += weight
            anew += TERMINAL_RATE * (possible & ~told)
        else:
            other += weight
    return order.back(1 - (1 - anew) * (1 - still / (1 + still + other)))
