"""Customers, terminals and card transactions with fraud in them, seeded and reproducible.

After the design published in the Fraud Detection Handbook (Le Borgne et al., chapter 3): customers have a
place, a usual amount and a frequency, and pay at terminals near them; plain large amounts, compromised
terminals and stolen cards are fraud. Added here: bursts of card testing, and impossible travel.
"""

from __future__ import annotations

import zlib
from collections.abc import Hashable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from ml.fraud.windows import DAY_US

MCCS = ("5411", "5812", "5541", "5999", "4111", "5732", "7995", "5912")
ABROAD = (("US", 40.7, -74.0), ("BR", -23.5, -46.6), ("TH", 13.8, 100.5), ("GB", 51.5, -0.1))
SCENARIOS = ("", "large_amount", "compromised_terminal", "stolen_card", "card_testing", "impossible_travel")
LARGE_MINOR = 22_000
LABEL_DELAY_DAYS = 7
NEW_CARDS = 0.4  # the share first used some time after the start


def simulate(*, n_customers: int, n_terminals: int, n_days: int, start: datetime, seed: int) -> pd.DataFrame:
    """One row a transaction, in time order, in the canonical columns plus fraud, label_known_at, scenario."""
    rng = np.random.default_rng(seed)
    terminals = _terminals(rng, n_terminals)
    frame = pd.concat(
        [_history(rng, customer, terminals, n_days) for customer in range(n_customers)], ignore_index=True
    )
    frame = _with_fraud(rng, frame, terminals, n_customers, n_days)
    frame = frame.sort_values(["at_us", "card"], kind="stable").reset_index(drop=True)
    return _canonical(frame, terminals, start, seed)


def stream(*, seed: int, batch_customers: int = 400) -> Iterator[tuple[dict[str, Any], bool]]:
    """Endless webhook events, each with whether it is fraud: the last twenty days of ever new customers,
    in time order.

    Simulated times are kept: squeezed into the present, every card would look like a burst.
    """
    rng, beside = np.random.default_rng(seed), np.random.default_rng([seed, 1])
    names = ["card_token", "merchant_id", "terminal_id", "mcc", "country", "entry_mode", "channel"]
    run = rng.integers(0, 2**40)
    count = 0
    while True:
        day = datetime.now(UTC).replace(microsecond=0) - timedelta(days=21)
        frame = simulate(
            n_customers=batch_customers, n_terminals=200, n_days=20, start=day, seed=int(rng.integers(2**31))
        )
        for row in frame.to_dict("records"):
            count += 1
            event = {
                "event_id": f"sim-{run:010x}-{count}",
                "type": "authorization",
                "occurred_at": row["occurred_at"].isoformat(timespec="milliseconds"),
                "amount_minor": int(row["amount_minor"]),
                "currency": row["currency"],
                **{name: row[name] for name in names},
                "latitude": round(float(row["latitude"]), 4),
                "longitude": round(float(row["longitude"]), 4),
                **_answers(beside, row),
            }
            yield event, bool(row["fraud"])


def _answers(rng: np.random.Generator, row: dict[Hashable, Any]) -> dict[str, Any]:
    """What else a source sends: the issuer's answers, and of online payments device, address and 3-D Secure.

    Frauds share a few devices and addresses and fail checks more often. Training never sees any of it.
    """
    answers: dict[str, Any] = {"auth_response": "00", "scheme": "visa"}
    if row["channel"] != "ecom":
        return answers
    fraud, one = bool(row["fraud"]), int(rng.integers(25))
    home = zlib.crc32(row["card_token"].encode()) % 200
    amiss = rng.random(3) < (0.5 if fraud else 0.04)
    answers |= {
        "device_id": f"device-x{one}" if fraud else f"device-{row['card_token']}",
        "ip": f"198.51.100.{one + 1}" if fraud else f"203.0.113.{home + 1}",
        "avs_result": "N" if amiss[0] else "Y",
        "cvv_result": "N" if amiss[1] else "M",
    }
    if rng.random() < (0.3 if fraud else 0.6):
        outcome = ("U", "07", False) if amiss[2] else ("Y", "05", True)
        answers["three_ds"] = dict(zip(("trans_status", "eci", "liability_shift"), outcome, strict=True))
    elif rng.random() < 0.5:
        answers["sca_exemption"] = "low_value" if row["amount_minor"] < 3000 else "tra"
    return answers


def _terminals(rng: np.random.Generator, n: int) -> dict[str, Any]:
    online = rng.random(n) < 0.15
    return {
        "latitude": rng.normal(50.8, 0.5, n),
        "longitude": rng.normal(4.4, 0.7, n),
        "mcc": rng.choice(MCCS, n),
        "online": online,
        "merchant": rng.integers(0, max(1, n // 2), n),
    }


def _history(rng: np.random.Generator, customer: int, terminals: dict[str, Any], n_days: int) -> pd.DataFrame:
    """A customer's honest transactions."""
    mean_minor, per_day = rng.uniform(500, 10_000), rng.uniform(0.3, 3.0)
    home = rng.normal(50.8, 0.5), rng.normal(4.4, 0.7)
    away = np.hypot(terminals["latitude"] - home[0], terminals["longitude"] - home[1])
    near = np.argsort(away + 0.3 * rng.random(len(away)))[: max(3, int(rng.integers(4, 16)))]
    counts = rng.poisson(per_day, n_days)
    # Cards are issued all the time: a model that met new cards only on the first day would fear them later.
    counts[: int(rng.integers(n_days)) if rng.random() < NEW_CARDS else 0] = 0
    days = np.repeat(np.arange(n_days), counts)
    n = len(days)
    second = np.clip(rng.normal(14 * 3600, 4.5 * 3600, n), 0, 86_399)
    amount = np.clip(rng.normal(mean_minor, mean_minor / 2, n), 50, None)
    terminal = rng.choice(near, n) if n else np.zeros(0, int)
    return pd.DataFrame(
        {
            "card": customer,
            "at_us": days * DAY_US + (second * 1e6).astype(np.int64),
            "amount_minor": amount.astype(np.int64),
            "terminal": terminal,
            "latitude": home[0] + rng.normal(0, 0.03, n),
            "longitude": home[1] + rng.normal(0, 0.03, n),
            "country": "BE",
            "scenario": 0,
        }
    )


def _with_fraud(
    rng: np.random.Generator, frame: pd.DataFrame, terminals: dict[str, Any], n_customers: int, n_days: int
) -> pd.DataFrame:
    """Spoil what the scenarios say. Later scenarios do not overwrite earlier ones."""
    day = (frame["at_us"] // DAY_US).to_numpy()
    scenario = np.where(frame["amount_minor"] > LARGE_MINOR, 1, 0)
    n_terminals = len(terminals["mcc"])
    for first_day in range(0, n_days, 4):
        terminal = rng.integers(n_terminals)
        hit = (frame["terminal"] == terminal) & (day >= first_day) & (day < first_day + 28)
        hit &= rng.random(len(frame)) < 0.4
        scenario[hit & (scenario == 0)] = 2
    stolen_rows = np.zeros(len(frame), bool)
    for first_day in range(n_days):
        cards = rng.integers(n_customers, size=max(1, n_customers // 700))
        hit = frame["card"].isin(cards) & (day >= first_day) & (day < first_day + 14)
        hit &= rng.random(len(frame)) < 1 / 3
        stolen_rows |= (hit & (scenario == 0)).to_numpy()
    scenario[stolen_rows] = 3
    frame = frame.assign(scenario=scenario)
    frame.loc[stolen_rows, "amount_minor"] *= 5
    extra = [_card_testing(rng, frame), _impossible_travel(rng, frame)]
    return pd.concat([frame, *extra], ignore_index=True)


def _victims(rng: np.random.Generator, frame: pd.DataFrame, share: float) -> pd.DataFrame:
    return frame.iloc[np.flatnonzero(rng.random(len(frame)) < share)]


def _card_testing(rng: np.random.Generator, frame: pd.DataFrame) -> pd.DataFrame:
    """A burst of tiny online payments within minutes, then one large."""
    victims = _victims(rng, frame, 0.0004)
    bursts = []
    for row in victims.to_dict("records"):
        n = int(rng.integers(4, 9))
        at = row["at_us"] + np.cumsum(rng.integers(20, 120, n)) * 1_000_000
        amount = np.append(rng.integers(50, 300, n - 1), rng.integers(8_000, 40_000))
        burst = {**row, "scenario": 4}
        bursts.append(
            pd.DataFrame({**{k: [v] * n for k, v in burst.items()}, "at_us": at, "amount_minor": amount})
        )
    return pd.concat(bursts, ignore_index=True) if bursts else frame.iloc[:0]


def _impossible_travel(rng: np.random.Generator, frame: pd.DataFrame) -> pd.DataFrame:
    """Minutes after an honest payment the same card pays on another continent."""
    copies = _victims(rng, frame, 0.0007).copy()
    n = len(copies)
    where = rng.integers(len(ABROAD), size=n)
    copies["country"] = [ABROAD[i][0] for i in where]
    copies["latitude"] = [ABROAD[i][1] for i in where]
    copies["longitude"] = [ABROAD[i][2] for i in where]
    copies["at_us"] += rng.integers(10, 90, n) * 60_000_000
    copies["amount_minor"] = (copies["amount_minor"] * rng.uniform(0.8, 4, n)).astype(np.int64)
    return copies.assign(scenario=5)


def _canonical(frame: pd.DataFrame, terminals: dict[str, Any], start: datetime, seed: int) -> pd.DataFrame:
    at = pd.to_datetime(frame["at_us"] + int(start.timestamp() * 1e6), unit="us", utc=True).dt.as_unit("us")
    terminal = frame["terminal"].to_numpy().astype(int)
    scenario = frame["scenario"].to_numpy().astype(int)
    online = terminals["online"][terminal] | (scenario == 4)
    entry = np.where(online, "ecommerce", np.where(scenario == 5, "magstripe", "chip"))
    tap = (frame["amount_minor"].to_numpy() < 5_000) & (entry == "chip")
    number = np.arange(len(frame))
    return pd.DataFrame(
        {
            "event_id": [f"s{seed}-{i}" for i in number],
            "type": "authorization",
            "occurred_at": at,
            "card_token": [f"card-{seed}-{c}" for c in frame["card"]],
            "amount_minor": frame["amount_minor"].to_numpy().astype(np.int64),
            "currency": "EUR",
            "merchant_id": [f"m-{m}" for m in terminals["merchant"][terminal]],
            "terminal_id": [f"t-{t}" for t in terminal],
            "mcc": terminals["mcc"][terminal],
            "country": frame["country"].to_numpy(),
            "entry_mode": np.where(tap, "contactless", entry),
            "channel": np.where(online, "ecom", "pos"),
            "device_id": "",
            "ip": "",
            "latitude": frame["latitude"].to_numpy(),
            "longitude": frame["longitude"].to_numpy(),
            "fraud": (scenario > 0).astype(np.int64),
            "label_known_at": at + pd.Timedelta(days=LABEL_DELAY_DAYS),
            "scenario": np.array(SCENARIOS)[scenario],
        }
    )
