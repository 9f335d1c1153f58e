"""The only definitions of features. Training replays history through the same functions that serve.

`observe` gives the features as of just before an event, `absorb` then lets the event into the states, and
`absorb_label` lets in what became known of an earlier one. A label that is not known yet has left no trace:
a terminal or card without a *known* fraud has the same features whatever will be known of it later, and
whether or not any label ever arrives.
"""

from __future__ import annotations

import math
import zlib
from functools import lru_cache

import numpy as np

from ml.fraud.contracts import Event, Label, Vector
from ml.fraud.state import DAY_US, HOUR_US, RECENT, CardState, TerminalState, shift, window

SMALL_MINOR = 300  # card testers try a stolen number with amounts nobody notices
MAX_SPEED_KMH = 20_000.0
UNUSUAL = 2.5  # times the card's typical amount
CUT = 3.0  # an amount counts at most this many times the typical amount towards it
SETTLED = 5  # events until a typical amount is trusted
LONG_AGO_DAYS = 60.0  # and "never", so that nothing tells the two apart
MEMORY = 250  # events; older amounts fade from the typical one
SURPRISE_US = 7 * DAY_US
ENTRY_MODES = ("unknown", "chip", "contactless", "magstripe", "manual", "ecommerce", "on_file")
_ENTRY_CODES = {mode: code for code, mode in enumerate(ENTRY_MODES)}
FEATURE_NAMES = (
    "amount_log", "amount_z", "amount_over_usual", "amount_deviation", "amount_over_max",
    "amount_over_mean_30d", "since_last_log", "card_count_1h", "card_count_24h", "card_count_7d",
    "card_count_30d", "card_sum_1h", "card_sum_24h", "card_sum_7d", "card_sum_30d", "card_mean_24h",
    "card_mean_7d", "card_max_24h", "card_max_7d", "card_small_1h", "card_unusual_24h", "card_unusual_7d",
    "card_unusual_14d", "since_unusual_days", "card_surprise", "card_history", "card_terminals_24h",
    "card_terminals_7d", "new_terminal", "new_merchant", "new_device", "country_changed", "entry_changed",
    "distance_log", "speed_log", "hour_sin", "hour_cos", "night", "weekend", "entry_magstripe",
    "entry_manual", "entry_online", "terminal_count_1h", "terminal_count_24h", "terminal_count_7d",
    "terminal_count_30d", "terminal_history", "amount_over_terminal", "terminal_bad_14d",
    "terminal_bad_30d", "terminal_plain_30d", "terminal_risk_14d", "terminal_risk_30d", "terminal_run",
    "terminal_run_days", "terminal_run_days_most", "terminal_since_bad_days", "terminal_good_since_bad",
    "card_bad_30d", "card_since_bad_days",
)  # fmt: skip
N_FEATURES = len(FEATURE_NAMES)
# What the recurrent network sees of each event, by position.
SEQUENCE = tuple(
    FEATURE_NAMES.index(name)
    for name in (
        "amount_log", "amount_z", "amount_over_usual", "amount_deviation", "since_last_log", "card_count_1h",
        "card_count_24h", "card_small_1h", "new_terminal", "new_merchant", "country_changed",
        "entry_changed", "speed_log", "hour_sin", "hour_cos", "entry_online", "terminal_count_24h",
        "terminal_plain_30d", "terminal_risk_14d", "terminal_risk_30d", "terminal_run", "terminal_run_days",
        "terminal_run_days_most", "terminal_since_bad_days", "terminal_good_since_bad",
    )
)  # fmt: skip


@lru_cache(maxsize=65_536)
def hashed(text: str) -> int:
    """A stable 32-bit hash; 0 is kept for "none"."""
    return (zlib.crc32(text.encode()) or 1) if text else 0


def observe(event: Event, card: CardState, terminal: TerminalState) -> Vector:
    """Features float32 (N_FEATURES,) of `event`, given everything before it and nothing after."""
    return np.array(values_of(event, card, terminal), np.float32)


def values_of(event: Event, card: CardState, terminal: TerminalState) -> list[float]:
    """The same as Python floats, for callers that fill a matrix."""
    hour = event.occurred_at_us // HOUR_US
    return [
        *_amount(event, card),
        *_card_windows(event, card, hour),
        *_unusual(event, card, hour // 24),
        *_habits(event, card, hour),
        *_clock(event.occurred_at_us),
        *_entry(event.entry_mode),
        *_terminal_windows(event, terminal, hour),
        *_known(card, terminal, hour // 24),
    ]


def absorb(event: Event, card: CardState, terminal: TerminalState) -> None:
    """Let the event into both states. One that comes late counts in the buckets of its own time."""
    hour = event.occurred_at_us // HOUR_US
    amount_log = math.log1p(event.amount_minor / 100)
    unusual = _absorb_amount(event, card, amount_log)
    _absorb_windows(event, card, hour, unusual)
    card.country, card.entry_mode = hashed(event.country), _entry_code(event.entry_mode)
    if event.latitude is not None and event.longitude is not None:
        card.latitude, card.longitude = event.latitude, event.longitude
    _remember(card.terminals, hashed(event.terminal_id), hour)
    _remember(card.merchants, hashed(event.merchant_id), hour)
    _remember(card.devices, hashed(event.device_id), hour)
    card.last_us = max(card.last_us, event.occurred_at_us)
    _absorb_terminal(event, terminal, hour, amount_log)


def absorb_label(label: Label, card: CardState, terminal: TerminalState) -> None:
    """Let in what is known of an earlier event from now on; the caller waits until it is known."""
    day = label.occurred_at_us // DAY_US
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
        if not terminal.run:
            terminal.run_us, terminal.before_run_us = label.occurred_at_us, terminal.good_us
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


def _amount(event: Event, card: CardState) -> tuple[float, ...]:
    amount_log = math.log1p(event.amount_minor / 100)
    if not card.n:
        return amount_log, 0.0, 0.0, 0.0, 0.0
    deviation = math.sqrt(card.m2_log / card.n) if card.n > 1 else 0.5
    return (
        amount_log,
        max(-8.0, min(8.0, (amount_log - card.mean_log) / (deviation + 0.1))),
        amount_log - math.log1p(card.typical / 100),
        _deviation(event.amount_minor, card),
        amount_log - math.log1p(card.max_minor / 100),
    )


def _deviation(amount_minor: int, card: CardState) -> float:
    """How many of the card's own deviations above its typical amount, within +-12; 0 before it has one."""
    if card.n < SETTLED:
        return 0.0
    return max(-12.0, min(12.0, (amount_minor - card.typical) / (math.sqrt(card.spread) + 100.0)))


def _card_windows(event: Event, card: CardState, hour: int) -> tuple[float, ...]:
    back_h, back_d = card.hour - hour, card.day - hour // 24
    first_h, first_d = _from(back_h), _from(back_d)
    end_24, end_1 = _from(back_h + 24), _from(back_h + 2)
    end_7, end_30, end_day = _from(back_d + 7), _from(back_d + 30), _from(back_d + 2)
    n_24, sum_24 = sum(card.hour_n[first_h:end_24]), sum(card.hour_sum[first_h:end_24])
    n_7, sum_7 = sum(card.day_n[first_d:end_7]), sum(card.day_sum[first_d:end_7])
    n_30, sum_30 = sum(card.day_n[first_d:end_30]), sum(card.day_sum[first_d:end_30])
    log1p = math.log1p
    typical = log1p(card.typical / 100)
    mean_30 = log1p(sum_30 / n_30 / 100) if n_30 else typical
    return (
        log1p(event.amount_minor / 100) - mean_30 if card.n else 0.0,
        log1p(max(0, event.occurred_at_us - card.last_us) / 1e6) if card.n else -1.0,
        sum(card.hour_n[first_h:end_1]),
        n_24,
        n_7,
        n_30,
        log1p(sum(card.hour_sum[first_h:end_1]) / 100),
        log1p(sum_24 / 100),
        log1p(sum_7 / 100),
        log1p(sum_30 / 100),
        log1p(sum_24 / n_24 / 100) - typical if n_24 else 0.0,
        log1p(sum_7 / n_7 / 100) - typical if n_7 else 0.0,
        log1p(max(card.day_max[first_d:end_day], default=0) / 100) - typical if n_24 else 0.0,
        log1p(max(card.day_max[first_d:end_7]) / 100) - typical if n_7 else 0.0,
        sum(card.hour_small[first_h:end_1]),
    )


def _from(index: int) -> int:
    """A slice's bound: one below zero would count from the end."""
    return index if index > 0 else 0  # half the time of max()


def _unusual(event: Event, card: CardState, day: int) -> tuple[float, ...]:
    gap_us = max(0, event.occurred_at_us - card.last_us) if card.n else 0
    since_us = event.occurred_at_us - card.unusual_us
    return (
        sum(window(card.day_unusual, card.day, day, 2)),
        sum(window(card.day_unusual, card.day, day, 7)),
        sum(window(card.day_unusual, card.day, day, 14)),
        min(LONG_AGO_DAYS, max(0, since_us) / DAY_US),
        card.surprise * math.exp(-gap_us / SURPRISE_US),
        math.log1p(card.n),
    )


def _habits(event: Event, card: CardState, hour: int) -> tuple[float, ...]:
    used = card.terminals.values()
    known = card.n > 0
    return (
        sum([at > hour - 24 for at in used]),
        sum([at > hour - 168 for at in used]),
        float(known and hashed(event.terminal_id) not in card.terminals),
        float(known and hashed(event.merchant_id) not in card.merchants),
        float(known and bool(event.device_id) and hashed(event.device_id) not in card.devices),
        float(known and card.country != hashed(event.country)),
        float(known and card.entry_mode != _entry_code(event.entry_mode)),
        *_travel(event, card, event.occurred_at_us - card.last_us if known else 0),
    )


def _entry(mode: str) -> tuple[float, float, float]:
    return float(mode == "magstripe"), float(mode == "manual"), float(mode in ("ecommerce", "on_file"))


def _terminal_windows(event: Event, terminal: TerminalState, hour: int) -> tuple[float, ...]:
    back_h, back_d = terminal.hour - hour, terminal.day - hour // 24
    first_h, first_d = _from(back_h), _from(back_d)
    return (
        sum(terminal.hour_n[first_h : _from(back_h + 2)]),
        sum(terminal.hour_n[first_h : _from(back_h + 24)]),
        sum(terminal.day_n[first_d : _from(back_d + 7)]),
        sum(terminal.day_n[first_d : _from(back_d + 30)]),
        math.log1p(terminal.n),
        math.log1p(event.amount_minor / 100) - terminal.mean_log if terminal.n else 0.0,
    )


_NOTHING_KNOWN_TERMINAL = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, LONG_AGO_DAYS, LONG_AGO_DAYS, LONG_AGO_DAYS, 0.0)
_NOTHING_KNOWN_CARD = (0.0, LONG_AGO_DAYS)


def _known(card: CardState, terminal: TerminalState, day: int) -> tuple[float, ...]:
    """Known frauds here. Known good payments show only where there was a fraud for them to follow."""
    of_card, of_terminal = _NOTHING_KNOWN_CARD, _NOTHING_KNOWN_TERMINAL
    if card.bad_us:
        of_card = sum(window(card.day_bad, card.label_day, day, 30)), _days_since(card.bad_us, day)
    if terminal.bad:
        newest = terminal.label_day
        bad_14 = sum(window(terminal.day_bad, newest, day, 14))
        bad_30 = sum(window(terminal.day_bad, newest, day, 30))
        of_terminal = (
            bad_14,
            bad_30,
            sum(window(terminal.day_plain, newest, day, 30)),
            bad_14 / (bad_14 + sum(window(terminal.day_good, newest, day, 14)) + 2),
            bad_30 / (bad_30 + sum(window(terminal.day_good, newest, day, 30)) + 2),
            terminal.run,
            _days_since(terminal.run_us, day),
            _days_since(terminal.before_run_us or terminal.run_us, day),
            _days_since(terminal.bad_us, day),
            min(terminal.good_since, 30),
        )
    return *of_terminal, *of_card


def _days_since(at_us: int, day: int) -> float:
    return min(LONG_AGO_DAYS, float(day - at_us // DAY_US))


def _absorb_amount(event: Event, card: CardState, amount_log: float) -> bool:
    """Returns whether the amount was far above what is typical of the card."""
    amount, gap_us = event.amount_minor, event.occurred_at_us - card.last_us if card.n else 0
    deviation = _deviation(amount, card)
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


def _absorb_windows(event: Event, card: CardState, hour: int, unusual: bool) -> None:
    amount, day = event.amount_minor, hour // 24
    if (ahead := hour - card.hour) > 0:
        for ring in (card.hour_n, card.hour_sum, card.hour_small):
            shift(ring, ahead)
        card.hour = hour
    if (ahead := day - card.day) > 0:
        for ring in (card.day_n, card.day_sum, card.day_max, card.day_unusual):
            shift(ring, ahead)
        card.day = day
    if (back := card.hour - hour) < len(card.hour_n):
        card.hour_n[back] += 1
        card.hour_sum[back] += amount
        card.hour_small[back] += amount <= SMALL_MINOR
    if (back := card.day - day) < len(card.day_n):
        card.day_n[back] += 1
        card.day_sum[back] += amount
        card.day_max[back] = max(card.day_max[back], amount)
        card.day_unusual[back] += unusual


def _absorb_terminal(event: Event, terminal: TerminalState, hour: int, amount_log: float) -> None:
    day = hour // 24
    if (ahead := hour - terminal.hour) > 0:
        shift(terminal.hour_n, ahead)
        terminal.hour = hour
    if (ahead := day - terminal.day) > 0:
        shift(terminal.day_n, ahead)
        terminal.day = day
    if (back := terminal.hour - hour) < len(terminal.hour_n):
        terminal.hour_n[back] += 1
    if (back := terminal.day - day) < len(terminal.day_n):
        terminal.day_n[back] += 1
    terminal.n += 1
    terminal.mean_log += (amount_log - terminal.mean_log) / min(terminal.n, 500)
    terminal.last_us = max(terminal.last_us, event.occurred_at_us)


def _entry_code(entry_mode: str) -> int:
    return _ENTRY_CODES.get(entry_mode, 0)


def _remember(used: dict[int, int], key: int, hour: int) -> None:
    """Least recently used first; the one too many is forgotten."""
    if key:
        used[key] = max(hour, used.pop(key, 0))
        if len(used) > RECENT:
            del used[next(iter(used))]


def _travel(event: Event, card: CardState, elapsed_us: int) -> tuple[float, float]:
    """log1p of kilometres since the card's last known place, and of the km/h that needs."""
    if event.latitude is None or event.longitude is None or math.isnan(card.latitude):
        return 0.0, 0.0
    distance_km = great_circle_km(card.latitude, card.longitude, event.latitude, event.longitude)
    hours = max(elapsed_us, 60_000_000) / HOUR_US
    return math.log1p(distance_km), math.log1p(min(distance_km / hours, MAX_SPEED_KMH))


def great_circle_km(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    """Haversine distance on a sphere of 6371 km; degrees in."""
    p1, p2 = math.radians(lat1), math.radians(lat2)
    half = math.sin((p2 - p1) / 2) ** 2
    half += math.cos(p1) * math.cos(p2) * math.sin(math.radians(lon2 - lon1) / 2) ** 2
    return 12_742 * math.asin(math.sqrt(min(1.0, half)))


def _clock(at_us: int) -> tuple[float, float, float, float]:
    hours = at_us / HOUR_US
    hour = hours % 24
    weekday = int(hours // 24 + 3) % 7  # 1970-01-01 was a Thursday
    angle = hour / 24 * 2 * math.pi
    return math.sin(angle), math.cos(angle), float(hour < 6), float(weekday >= 5)
