"""The only definitions of features. Training replays history through the same functions that serve.

`observe` gives the features as of just before an event and `absorb` then lets the event into the states.
"""

from __future__ import annotations

import math
import zlib

import numpy as np

from ml.fraud.contracts import Event, Vector
from ml.fraud.state import HOUR_US, RECENT, TAUS_US, CardState, TerminalState, decay

SMALL_MINOR = 300  # card testers try a stolen number with amounts nobody notices
MAX_SPEED_KMH = 20_000.0
ENTRY_MODES = ("unknown", "chip", "contactless", "magstripe", "manual", "ecommerce", "on_file")
FEATURE_NAMES = (
    "amount_log", "amount_z", "amount_over_usual", "amount_over_max", "since_last_log",
    "card_count_1h", "card_count_24h", "card_count_7d", "card_sum_1h", "card_sum_24h", "card_sum_7d",
    "card_small_1h", "card_history", "new_terminal", "new_merchant", "new_device", "country_changed",
    "entry_changed", "distance_log", "speed_log", "hour_sin", "hour_cos", "night", "weekend",
    "entry_magstripe", "entry_manual", "entry_online", "terminal_count_1h", "terminal_count_24h",
    "terminal_count_7d", "terminal_history", "amount_over_terminal",
)  # fmt: skip
N_FEATURES = len(FEATURE_NAMES)
# What the recurrent network sees of each event, by position.
SEQUENCE = tuple(
    FEATURE_NAMES.index(name)
    for name in (
        "amount_log", "amount_z", "amount_over_usual", "since_last_log", "card_count_1h", "card_small_1h",
        "new_terminal", "new_merchant", "country_changed", "entry_changed", "speed_log", "hour_sin",
        "hour_cos", "entry_online", "terminal_count_24h",
    )
)  # fmt: skip


def hashed(text: str) -> int:
    """A stable 32-bit hash; 0 is kept for "none"."""
    return (zlib.crc32(text.encode()) or 1) if text else 0


def observe(event: Event, card: CardState, terminal: TerminalState) -> Vector:
    """Features float32 (N_FEATURES,) of `event`, given everything before it and nothing after."""
    amount = event.amount_minor / 100
    amount_log = math.log1p(amount)
    elapsed_us = event.occurred_at_us - card.last_us if card.n else 0
    counts, sums = decay(card.counts, elapsed_us), decay(card.sums, elapsed_us)
    small = card.small_1h * math.exp(-max(0, elapsed_us) / TAUS_US[0])
    quiet_us = event.occurred_at_us - terminal.last_us if terminal.n else 0
    deviation = math.sqrt(card.m2_log / card.n) if card.n > 1 else 0.5
    usual = card.mean_log if card.n else amount_log
    values = [
        amount_log,
        max(-8.0, min(8.0, (amount_log - usual) / (deviation + 0.1))),
        amount_log - usual,
        amount_log - math.log1p(card.max_amount) if card.n else 0.0,
        math.log1p(max(0, elapsed_us) / 1e6) if card.n else -1.0,
        *counts,
        *(math.log1p(total) for total in sums),
        small,
        math.log1p(card.n),
        _is_new(event.terminal_id, card.terminals, card.n),
        _is_new(event.merchant_id, card.merchants, card.n),
        _is_new(event.device_id, card.devices, card.n) if event.device_id else 0.0,
        float(card.n > 0 and card.country != hashed(event.country)),
        float(card.n > 0 and card.entry_mode != _entry_code(event.entry_mode)),
        *_travel(event, card, elapsed_us),
        *_clock(event.occurred_at_us),
        float(event.entry_mode == "magstripe"),
        float(event.entry_mode == "manual"),
        float(event.entry_mode in ("ecommerce", "on_file")),
        *(math.log1p(count) for count in decay(terminal.counts, quiet_us)),
        math.log1p(terminal.n),
        amount_log - terminal.mean_log if terminal.n else 0.0,
    ]
    return np.array(values, np.float32)


def absorb(event: Event, card: CardState, terminal: TerminalState) -> None:
    """Let the event into both states. An event older than the last adds to counters as if it were now."""
    amount = event.amount_minor / 100
    amount_log = math.log1p(amount)
    elapsed_us = event.occurred_at_us - card.last_us if card.n else 0
    card.counts = [count + 1 for count in decay(card.counts, elapsed_us)]
    card.sums = [total + amount for total in decay(card.sums, elapsed_us)]
    card.small_1h *= math.exp(-max(0, elapsed_us) / TAUS_US[0])
    card.small_1h += event.amount_minor <= SMALL_MINOR
    card.n += 1
    step = amount_log - card.mean_log
    card.mean_log += step / card.n
    card.m2_log += step * (amount_log - card.mean_log)
    card.max_amount = max(card.max_amount, amount)
    card.country, card.entry_mode = hashed(event.country), _entry_code(event.entry_mode)
    if event.latitude is not None and event.longitude is not None:
        card.latitude, card.longitude = event.latitude, event.longitude
    for recent, name in (
        (card.terminals, event.terminal_id),
        (card.merchants, event.merchant_id),
        (card.devices, event.device_id),
    ):
        _remember(recent, hashed(name))
    quiet_us = event.occurred_at_us - terminal.last_us if terminal.n else 0
    terminal.counts = [count + 1 for count in decay(terminal.counts, quiet_us)]
    terminal.sums = [total + amount for total in decay(terminal.sums, quiet_us)]
    terminal.n += 1
    terminal.mean_log += (amount_log - terminal.mean_log) / min(terminal.n, 500)
    terminal.last_us = max(terminal.last_us, event.occurred_at_us)
    card.last_us = max(card.last_us, event.occurred_at_us)


def _entry_code(entry_mode: str) -> int:
    return ENTRY_MODES.index(entry_mode) if entry_mode in ENTRY_MODES else 0


def _is_new(name: str, recent: list[int], history: float) -> float:
    return float(history > 0 and hashed(name) not in recent)


def _remember(recent: list[int], value: int) -> None:
    """Most recently used first, each once."""
    if value:
        if value in recent:
            recent.remove(value)
        recent.insert(0, value)
        del recent[RECENT:]


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
