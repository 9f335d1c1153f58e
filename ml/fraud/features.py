"""The only definitions of features. Training replays history through the same functions that serve.

`values_of` gives the features as of just before an event; `absorb` then lets the event into the states, and
what became known of an earlier one. A label that is not known yet has left no trace: a terminal or card
without a *known* fraud has the same features whatever will be known of it later, and whether or not any
label ever arrives.
"""

from __future__ import annotations

import math
import zlib
from functools import lru_cache

from ml.fraud.contracts import Event
from ml.fraud.state import CardState, Known, TerminalState
from ml.fraud.windows import DAY_US, HOUR_US, NONE, SPANS, Windows, day_of, hour_of, window

MAX_SPEED_KMH = 20_000.0
SETTLED = 5  # events until a typical amount is trusted
LONG_AGO_DAYS = 60.0  # and "never", so that nothing tells the two apart
SURPRISE_US = 7 * DAY_US
ENTRY_MODES = ("unknown", "chip", "contactless", "magstripe", "manual", "ecommerce", "on_file")
_ENTRY_CODES = {mode: code for code, mode in enumerate(ENTRY_MODES)}
STATISTICS = ("count", "sum", "mean", "max", "distinct")


def windows_of(kind: str, *statistics: str) -> tuple[str, ...]:
    """Names of the features of a card's, terminal's, merchant's or device's windows: all, or these."""
    return tuple(f"{kind}_{statistic}_{span}" for statistic in statistics or STATISTICS for span in SPANS)


FEATURE_NAMES = (
    "amount_log", "amount_z", "amount_over_usual", "amount_deviation", "amount_over_max",
    *windows_of("card"), "amount_over_mean_30d", "since_last_log", "card_small_1h", "card_unusual_24h",
    "card_unusual_7d", "card_unusual_14d", "since_unusual_days", "card_surprise", "card_history",
    "new_terminal", "new_merchant", "new_device", "new_country", "country_changed",
    "entry_changed", "distance_log", "speed_log", "hour_sin", "hour_cos", "night", "weekend",
    "entry_magstripe", "entry_manual",
    "entry_online", *windows_of("terminal"), "terminal_history", "amount_over_terminal",
    *windows_of("merchant"), *windows_of("device"), "terminal_bad_14d",
    "terminal_bad_30d", "terminal_plain_30d", "terminal_risk_14d", "terminal_risk_30d", "terminal_run",
    "terminal_run_lone", "terminal_run_least", "terminal_run_days", "terminal_run_days_most",
    "terminal_since_bad_days", "terminal_good_since_bad", "card_bad_30d", "card_since_bad_days",
)  # fmt: skip
N_FEATURES = len(FEATURE_NAMES)
# By position, what the recurrent network sees of each event beside the trees' margin: of the card alone, and
# with more of it and what is known against the terminal.
CARD_SEQUENCE = tuple(
    FEATURE_NAMES.index(name)
    for name in (
        "amount_log", "amount_over_usual", "amount_deviation", "amount_over_max", "since_last_log",
        "card_unusual_14d", "since_unusual_days", "card_surprise", "card_history",
    )
)  # fmt: skip
SEQUENCE = (
    *CARD_SEQUENCE,
    *(
        FEATURE_NAMES.index(name)
        for name in (
            "terminal_bad_14d", "terminal_bad_30d", "terminal_plain_30d", "terminal_risk_14d", "terminal_run",
            "terminal_run_lone", "terminal_run_least", "terminal_run_days", "terminal_run_days_most",
            "terminal_since_bad_days", "terminal_good_since_bad", "card_unusual_24h", "card_unusual_7d",
            "amount_over_mean_30d", "card_max_24h", "card_max_7d", "card_mean_24h", "card_mean_7d",
            "card_count_24h", "card_count_7d",
        )
    ),
)  # fmt: skip


@lru_cache(maxsize=65_536)
def hashed(text: str) -> int:
    """A stable 32-bit hash; 0 is kept for "none"."""
    return (zlib.crc32(text.encode()) or 1) if text else 0


def values_of(event: Event, known: Known) -> list[float]:
    """Features (N_FEATURES,) of `event`, given everything before it and nothing after; kept as float32."""
    hour, day, card = hour_of(event), day_of(event), known.card
    return [
        *_amount(event, card),
        *_card_windows(event, card, hour, day),
        *_unusual(event, card, hour, day),
        *_habits(event, card),
        *_clock(event.occurred_at_us + event.utc_offset_us),
        *_entry(event.entry_mode),
        *_place(known.terminal.windows, hour, day),
        *_terminal(event, known.terminal),
        *_place(known.merchant, hour, day),
        *_place(known.device, hour, day),
        *_frauds(card, known.terminal, day, event.utc_offset_us),
    ]


def _amount(event: Event, card: CardState) -> tuple[float, ...]:
    amount_log = math.log1p(event.amount_minor / 100)
    if not card.n:
        return amount_log, 0.0, 0.0, 0.0, 0.0
    deviation = math.sqrt(card.m2_log / card.n) if card.n > 1 else 0.5
    return (
        amount_log,
        max(-8.0, min(8.0, (amount_log - card.mean_log) / (deviation + 0.1))),
        amount_log - math.log1p(card.typical / 100),
        deviation_of(event.amount_minor, card),
        amount_log - math.log1p(card.max_minor / 100),
    )


def deviation_of(amount_minor: int, card: CardState) -> float:
    """How many of the card's own deviations above its typical amount, within +-12; 0 before it has one."""
    if card.n < SETTLED:
        return 0.0
    return max(-12.0, min(12.0, (amount_minor - card.typical) / (math.sqrt(card.spread) + 100.0)))


def _card_windows(event: Event, card: CardState, hour: int, day: int) -> tuple[float, ...]:
    """Means and largest against the typical amount: what is much for one card is little for another."""
    figures = card.windows.figures(hour, day)
    typical = math.log1p(card.typical / 100)
    amount = math.log1p(event.amount_minor / 100)
    if figures is NONE:
        return *_NOTHING_HAPPENED, amount - typical if card.n else 0.0, _pause(event, card)
    n_1, n_24, n_7, n_30, sum_1, sum_24, sum_7, sum_30, max_1, max_24, max_7, max_30, *seen = figures
    log1p = math.log1p
    mean_30 = log1p(sum_30 / n_30 / 100)
    return (
        n_1, n_24, n_7, n_30,
        log1p(sum_1 / 100), log1p(sum_24 / 100), log1p(sum_7 / 100), log1p(sum_30 / 100),
        log1p(sum_1 / n_1 / 100) - typical if n_1 else 0.0,
        log1p(sum_24 / n_24 / 100) - typical if n_24 else 0.0,
        log1p(sum_7 / n_7 / 100) - typical if n_7 else 0.0,
        mean_30 - typical,
        log1p(max_1 / 100) - typical if n_1 else 0.0,
        log1p(max_24 / 100) - typical if n_24 else 0.0,
        log1p(max_7 / 100) - typical if n_7 else 0.0,
        log1p(max_30 / 100) - typical,
        *seen,
        amount - mean_30,
        _pause(event, card),
    )  # fmt: skip


_NOTHING_HAPPENED = (0.0,) * (len(STATISTICS) * len(SPANS))


def _pause(event: Event, card: CardState) -> float:
    return math.log1p(max(0, event.occurred_at_us - card.last_us) / 1e6) if card.n else -1.0


def _place(windows: Windows | None, hour: int, day: int) -> tuple[float, ...]:
    """What happened at a terminal, a merchant or a device."""
    figures = windows.figures(hour, day) if windows else NONE
    if figures is NONE:
        return _NOTHING_HAPPENED
    n_1, n_24, n_7, n_30, sum_1, sum_24, sum_7, sum_30, max_1, max_24, max_7, max_30, *seen = figures
    log1p = math.log1p
    return (
        n_1, n_24, n_7, n_30,
        log1p(sum_1 / 100), log1p(sum_24 / 100), log1p(sum_7 / 100), log1p(sum_30 / 100),
        log1p(sum_1 / n_1 / 100) if n_1 else 0.0, log1p(sum_24 / n_24 / 100) if n_24 else 0.0,
        log1p(sum_7 / n_7 / 100) if n_7 else 0.0, log1p(sum_30 / n_30 / 100),
        log1p(max_1 / 100), log1p(max_24 / 100), log1p(max_7 / 100), log1p(max_30 / 100),
        *seen,
    )  # fmt: skip


def _unusual(event: Event, card: CardState, hour: int, day: int) -> tuple[float, ...]:
    gap_us = max(0, event.occurred_at_us - card.last_us) if card.n else 0
    since_us = event.occurred_at_us - card.unusual_us
    days = card.windows.days.newest, day
    of_late: tuple[int, ...] = (0, 0, 0)
    if card.unusual_us:  # most cards never had one
        of_late = tuple(sum(window(card.day_unusual, *days, size)) for size in (2, 7, 14))
    return (
        sum(window(card.hour_small, card.windows.hours.newest, hour, 2)),
        *of_late,
        min(LONG_AGO_DAYS, max(0, since_us) / DAY_US),
        card.surprise * math.exp(-gap_us / SURPRISE_US),
        math.log1p(card.n),
    )


def _habits(event: Event, card: CardState) -> tuple[float, ...]:
    known, country = card.n > 0, hashed(event.country)
    return (
        float(known and hashed(event.terminal_id) not in card.terminals),
        float(known and hashed(event.merchant_id) not in card.merchants),
        float(known and bool(event.device_id) and hashed(event.device_id) not in card.devices),
        float(known and bool(event.country) and country not in card.countries),
        float(known and card.country != country),
        float(known and card.entry_mode != entry_code(event.entry_mode)),
        *_travel(event, card, event.occurred_at_us - card.last_us if known else 0),
    )


def _entry(mode: str) -> tuple[float, float, float]:
    return float(mode == "magstripe"), float(mode == "manual"), float(mode in ("ecommerce", "on_file"))


def _terminal(event: Event, terminal: TerminalState) -> tuple[float, float]:
    amount = math.log1p(event.amount_minor / 100)
    return math.log1p(terminal.n), amount - terminal.mean_log if terminal.n else 0.0


_NOTHING_KNOWN_TERMINAL = (
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    0.0,
    LONG_AGO_DAYS,
    LONG_AGO_DAYS,
    LONG_AGO_DAYS,
    0.0,
)
_NOTHING_KNOWN_CARD = (0.0, LONG_AGO_DAYS)


def _frauds(card: CardState, terminal: TerminalState, day: int, offset_us: int) -> tuple[float, ...]:
    """Known frauds here. Known good payments show only where there was a fraud for them to follow.

    `offset_us`: of the business clock now, by which the days of then are told as well.
    """
    of_card, of_terminal = _NOTHING_KNOWN_CARD, _NOTHING_KNOWN_TERMINAL
    if card.bad_us:
        bad_30 = sum(window(card.day_bad, card.label_day, day, 30))
        of_card = bad_30, _days_since(card.bad_us + offset_us, day)
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
            terminal.run_lone if terminal.run else 0,
            terminal.run_least if terminal.run else 0.0,
            _days_since(terminal.run_us + offset_us, day),
            _days_since((terminal.before_run_us or terminal.run_us) + offset_us, day),
            _days_since(terminal.bad_us + offset_us, day),
            min(terminal.good_since, 30),
        )
    return *of_terminal, *of_card


def _days_since(at_us: int, day: int) -> float:
    return min(LONG_AGO_DAYS, float(day - at_us // DAY_US))


def entry_code(entry_mode: str) -> int:
    return _ENTRY_CODES.get(entry_mode, 0)


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
