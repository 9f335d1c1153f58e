"""How an event, and later what became known of it, enters the states that `features` reads."""

from __future__ import annotations

import math

from ml.fraud.contracts import Event, Label, Reversal
from ml.fraud.features import SETTLED, SURPRISE_US, deviation_of, entry_code, hashed
from ml.fraud.state import RECENT, CardState, Known, TerminalState
from ml.fraud.windows import DAYS, HOURS, day_of, hour_of, shift, window

SMALL_MINOR = 300  # card testers try a stolen number with amounts nobody notices
UNUSUAL = 2.5  # times the card's typical amount
CUT = 3.0  # an amount counts at most this many times the typical amount towards it
ABOUT = 14  # days
MEMORY = 250  # events; older amounts fade from the typical one


def absorb(event: Event, known: Known) -> None:
    """Let the event into all states. One that comes late counts in the buckets of its own time."""
    hour, day, card = hour_of(event), day_of(event), known.card
    amount, amount_log = event.amount_minor, math.log1p(event.amount_minor / 100)
    unusual = _absorb_amount(event, card, amount_log)
    _absorb_signs(card, hour, day, amount <= SMALL_MINOR, unusual)
    by_card, terminal = hashed(event.card_token), hashed(event.terminal_id)
    card.windows.add(hour, day, amount, terminal)
    for windows in (known.terminal.windows, known.merchant, known.device):
        if windows is not None:
            windows.add(hour, day, amount, by_card)
    card.country, card.entry_mode = hashed(event.country), entry_code(event.entry_mode)
    if event.latitude is not None and event.longitude is not None:
        card.latitude, card.longitude = event.latitude, event.longitude
    _remember(card.terminals, terminal, hour)
    _remember(card.merchants, hashed(event.merchant_id), hour)
    _remember(card.devices, hashed(event.device_id), hour)
    _remember(card.countries, card.country, hour)
    card.last_us = max(card.last_us, event.occurred_at_us)
    _absorb_terminal(event, known.terminal, amount_log)


def take_back(reversal: Reversal, known: Known) -> None:
    """Take an amount off the hour and day it was added to, where they are still kept.

    The sums alone: an attempt that was taken back was made, and a thief who tries a number with payments
    and reversals must not look like nobody. So counts, the largest and the usual amount stay as they are.
    """
    for windows in (known.card.windows, known.terminal.windows, known.merchant, known.device):
        if windows is not None:
            windows.take_off(hour_of(reversal), day_of(reversal), reversal.amount_minor)


def absorb_label(label: Label, card: CardState, terminal: TerminalState) -> None:
    """Let in what is known of an earlier event from now on; the caller waits until it is known."""
    day = day_of(label)
    if (ahead := day - terminal.label_day) > 0:
        for ring in (terminal.day_bad, terminal.day_plain, terminal.day_good):
            shift(ring, ahead)
        terminal.label_day = day
    back = terminal.label_day - day
    if not label.fraud:
        if back < len(terminal.day_good):
            terminal.day_good[back] += 1
        if label.occurred_at_us > terminal.bad_us:
            terminal.run, terminal.good_since = 0, terminal.good_since + 1
        terminal.good_us = max(terminal.good_us, label.occurred_at_us)
        return
    if back < len(terminal.day_bad):
        terminal.day_bad[back] += 1
        # An amount far above the card's own explains a fraud by the card; another accuses the terminal.
        terminal.day_plain[back] += label.amount_minor <= UNUSUAL * card.typical
    _absorb_bad(label, card, terminal, day)


def _absorb_bad(label: Label, card: CardState, terminal: TerminalState, day: int) -> None:
    if label.occurred_at_us > terminal.good_us:
        over = math.log1p(label.amount_minor / 100) - math.log1p(card.typical / 100)
        if not terminal.run:
            terminal.run_us, terminal.before_run_us = label.occurred_at_us, terminal.good_us
            terminal.run_lone, terminal.run_least = 0, over
        terminal.run_lone += label.amount_minor <= UNUSUAL * card.typical and not _unusual_about(card, day)
        terminal.run_least = min(terminal.run_least, over)
        terminal.run_us = min(terminal.run_us, label.occurred_at_us)
        terminal.run, terminal.good_since = terminal.run + 1, 0
    terminal.bad += 1
    terminal.bad_us = max(terminal.bad_us, label.occurred_at_us)
    if day > card.label_day:
        shift(card.day_bad, day - card.label_day)
        card.label_day = day
    if (back := card.label_day - day) < len(card.day_bad):
        card.day_bad[back] += 1
    card.bad_us = max(card.bad_us, label.occurred_at_us)


def _unusual_about(card: CardState, day: int) -> int:
    """The card's unusual amounts in the two weeks before and after."""
    return sum(window(card.day_unusual, card.windows.days.newest, day + ABOUT, 2 * ABOUT))


def _absorb_amount(event: Event, card: CardState, amount_log: float) -> bool:
    """Returns whether the amount was far above what is typical of the card."""
    amount, gap_us = event.amount_minor, event.occurred_at_us - card.last_us if card.n else 0
    deviation = deviation_of(amount, card)
    card.surprise = card.surprise * math.exp(-max(0, gap_us) / SURPRISE_US) + max(0.0, deviation - 2)
    if unusual := card.n >= SETTLED and amount > UNUSUAL * card.typical:
        card.unusual_us = max(card.unusual_us, event.occurred_at_us)
    card.n += 1
    step = amount_log - card.mean_log
    card.mean_log += step / card.n
    card.m2_log += step * (amount_log - card.mean_log)
    card.max_minor = max(card.max_minor, amount)
    cut = min(amount, CUT * card.typical) if card.n > SETTLED else amount
    weight = 1 / min(card.n, MEMORY)
    away = cut - card.typical
    card.typical += weight * away
    card.spread = (1 - weight) * (card.spread + weight * away * away)
    return unusual


def _absorb_signs(card: CardState, hour: int, day: int, small: bool, unusual: bool) -> None:
    """Before the windows move on: these rings begin where theirs do."""
    shift(card.hour_small, hour - card.windows.hours.newest)
    shift(card.day_unusual, day - card.windows.days.newest)
    if (back := card.windows.hours.newest - hour) < HOURS:
        card.hour_small[max(back, 0)] += small
    if (back := card.windows.days.newest - day) < DAYS:
        card.day_unusual[max(back, 0)] += unusual


def _absorb_terminal(event: Event, terminal: TerminalState, amount_log: float) -> None:
    terminal.n += 1
    terminal.mean_log += (amount_log - terminal.mean_log) / min(terminal.n, 500)
    terminal.last_us = max(terminal.last_us, event.occurred_at_us)


def _remember(used: dict[int, int], key: int, hour: int) -> None:
    """Least recently used first; the one too many is forgotten."""
    if key:
        used[key] = max(hour, used.pop(key, 0))
        if len(used) > RECENT:
            del used[next(iter(used))]
