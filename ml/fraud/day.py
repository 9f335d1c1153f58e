"""One day of card payments with attacks planted in it: a show for people, seeded and reproducible.

The honest part is the simulator's; each wave is what analysts know it as. Everything is made up.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from ml.fraud.simulator import ABROAD, simulate

MINUTE_US = 60_000_000
Frame = pd.DataFrame
Wave = Callable[[np.random.Generator, Frame, int], Frame]  # honest payments, and when the day began


def day_of(*, n_customers: int, start: datetime, seed: int) -> Frame:
    """The simulator's columns in time order; `scenario` names the wave a fraud belongs to."""
    rng = np.random.default_rng(seed)
    honest = simulate(
        n_customers=n_customers, n_terminals=max(40, n_customers // 8), n_days=1, start=start, seed=seed
    )
    honest["device_id"] = [f"d-{card}" if online else "" for card, online in _who_where(honest)]
    begin_us = int(start.timestamp() * 1e6)
    waves = [wave(rng, honest, begin_us) for wave in WAVES]
    frame = pd.concat([honest, *waves], ignore_index=True)
    frame = frame[frame["occurred_at"] < start + timedelta(days=1)]
    frame = frame.sort_values("occurred_at", kind="stable").reset_index(drop=True)
    frame["event_id"] = [f"day-{seed}-{number}" for number in range(len(frame))]
    return frame


def _who_where(frame: Frame) -> zip[tuple[str, bool]]:
    return zip(frame["card_token"], frame["channel"] == "ecom", strict=True)


def card_testing(rng: np.random.Generator, honest: Frame, begin_us: int) -> Frame:
    """Stolen numbers tried at one web shop within half an hour, from three devices, for cents; those that
    work are spent at once."""
    cards = _cards(rng, honest, 60)
    shop = f"m-webshop-{rng.integers(10)}"
    at = _at(begin_us, 10.5) + np.sort(rng.integers(0, 30, len(cards))) * MINUTE_US
    tried = _online(honest, cards, at, rng.integers(50, 250, len(cards)), "card_testing_wave")
    works = tried.iloc[rng.choice(len(tried), len(tried) // 5, replace=False)].copy()
    works["occurred_at"] += pd.to_timedelta(rng.integers(3, 20, len(works)), unit="min")
    works["amount_minor"] = rng.integers(15_000, 60_000, len(works))
    frame = pd.concat([tried, works], ignore_index=True)
    devices = [f"d-testing-{number}" for number in rng.integers(3, size=len(frame))]
    return frame.assign(merchant_id=shop, terminal_id=f"{shop}-t", mcc="5816", device_id=devices)


def stolen_cards(rng: np.random.Generator, honest: Frame, begin_us: int) -> Frame:
    """Cards taken at lunch: each buys whatever can be sold, shop after shop, until somebody notices."""
    shops = _shops(honest, "pos")
    bursts = []
    for card in _cards(rng, honest, 12):
        n = int(rng.integers(4, 8))
        at = _at(begin_us, 13.0 + rng.random() * 2) + np.cumsum(rng.integers(3, 9, n)) * MINUTE_US
        where = shops.iloc[rng.integers(len(shops), size=n)].reset_index(drop=True)
        bursts.append(
            where.assign(
                card_token=card, occurred_at=_times(at), amount_minor=rng.integers(20_000, 90_000, n),
                mcc="5732", entry_mode="contactless",
            )
        )  # fmt: skip
    return _fraud(pd.concat(bursts, ignore_index=True), "stolen_card_burst")


def account_takeover(rng: np.random.Generator, honest: Frame, begin_us: int) -> Frame:
    """A known customer's card from a device and a country it has never seen, more each time."""
    parts = []
    for number, card in enumerate(_cards(rng, honest, 6)):
        n = int(rng.integers(3, 6))
        at = _at(begin_us, 17.0 + rng.random() * 2) + np.cumsum(rng.integers(4, 15, n)) * MINUTE_US
        part = _online(
            honest, [card] * n, at, (8_000 * 1.8 ** np.arange(n)).astype(np.int64), "account_takeover"
        )
        country, latitude, longitude = ABROAD[number % len(ABROAD)]
        parts.append(
            part.assign(
                device_id=f"d-new-{number}", ip=f"203.0.113.{number + 1}", entry_mode="on_file",
                country=country, latitude=latitude, longitude=longitude, mcc="5732",
                merchant_id=f"m-gadgets-{number % 2}", terminal_id=f"m-gadgets-{number % 2}-t",
            )
        )  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def compromised_terminal(rng: np.random.Generator, honest: Frame, begin_us: int) -> Frame:
    """Cards that paid at one terminal in the morning draw cash abroad in the evening, by a copied stripe."""
    noon = _times([_at(begin_us, 12.0)])[0]
    morning = honest[(honest["channel"] == "pos") & (honest["occurred_at"] < noon)]
    busiest = morning["terminal_id"].value_counts().index[0]
    cards = morning.loc[morning["terminal_id"] == busiest, "card_token"].unique()[:25]
    country, latitude, longitude = ABROAD[int(rng.integers(len(ABROAD)))]
    at = _at(begin_us, 19.0) + np.sort(rng.integers(0, 150, len(cards))) * MINUTE_US
    frame = _online(honest, cards, at, rng.integers(2, 8, len(cards)) * 10_000, "copied_at_terminal")
    return frame.assign(
        channel="atm", entry_mode="magstripe", mcc="6011", country=country, latitude=latitude,
        longitude=longitude, merchant_id="m-bank-abroad", device_id="",
        terminal_id=[f"t-atm-{n}" for n in rng.integers(4, size=len(frame))],
    )  # fmt: skip


WAVES: tuple[Wave, ...] = (card_testing, stolen_cards, account_takeover, compromised_terminal)


def _cards(rng: np.random.Generator, honest: Frame, n: int) -> list[str]:
    """Of customers who pay that day, so that their cards have something usual."""
    known = honest["card_token"].unique()
    return [str(card) for card in rng.choice(known, min(n, len(known)), replace=False)]


def _shops(honest: Frame, channel: str) -> Frame:
    return honest[honest["channel"] == channel].drop_duplicates("terminal_id").reset_index(drop=True)


def _online(
    honest: Frame, cards: list[str] | np.ndarray, at_us: np.ndarray, amounts: np.ndarray, scenario: str
) -> Frame:
    """Rows like an honest one in all that is not given."""
    like = pd.concat([honest.iloc[:1]] * len(cards), ignore_index=True)
    like = like.assign(
        card_token=list(cards), occurred_at=_times(at_us), amount_minor=amounts, channel="ecom",
        entry_mode="ecommerce",
    )  # fmt: skip
    return _fraud(like, scenario)


def _fraud(frame: Frame, scenario: str) -> Frame:
    return frame.assign(fraud=1, scenario=scenario, type="authorization", currency="EUR")


def _at(begin_us: int, hour: float) -> int:
    return begin_us + int(hour * 60 * MINUTE_US)


def _times(at_us: list[int] | np.ndarray) -> pd.Series:
    return pd.Series(pd.to_datetime(np.asarray(at_us), unit="us", utc=True)).dt.as_unit("us")
