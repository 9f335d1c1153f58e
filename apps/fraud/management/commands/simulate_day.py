from __future__ import annotations

import heapq
import random
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, cast

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.core.clock import now
from apps.core.words import counted
from apps.fraud.wire.playing import Sender, add_target
from apps.fraud.wire.validation import EVENTS_MAX

DAY = timedelta(days=1)
NIGHT = timedelta(hours=8)  # sent at once: hardly anybody pays, and who watches wants to see something
PER_CUSTOMER = 1.65  # payments a day
TICK_S, PATIENCE_S = 0.5, 10.0
NOTICED, CONFIRMED = 0.7, 0.03  # of frauds that cardholders notice that day; of honest payments asked about
Row = dict[str, Any]


class Command(BaseCommand):
    help = (
        "Play a day of payments with attacks in it (card testing, stolen cards, an account taken over, a"
        " compromised terminal), and what cardholders notice of them, through the signed doors of a running"
        " server."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--rate", type=float, default=3.0, help="Events a second in the mean, up to 200.")
        parser.add_argument(
            "--speed", type=float, default=60.0, help="Seconds of the day in one, 1 to 86400."
        )
        parser.add_argument("--days", type=int, default=1, help="How many, one after the other; 0 goes on.")
        parser.add_argument("--patient", action="store_true", help="Try again where the server says no.")
        parser.add_argument("--seed", type=int, default=None, help="The same seed, the same day.")
        add_target(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        rate, speed, seed = options["rate"], options["speed"], options["seed"]
        if not (0 < rate <= 200 and 1 <= speed <= 86_400):
            raise CommandError("The rate lies above 0 and up to 200, the speed between 1 and 86400.")
        seed = int(time.time()) if seed is None else seed
        self.patient, sent, number = options["patient"], 0, 0
        with Sender(options) as self.sender:
            while not options["days"] or number < options["days"]:
                sent += self._play(_day(rate, speed, seed + number), speed)
                number += 1
        self.stdout.write(f"Sent {counted(sent, 'event')} of {counted(number, 'day')}.")

    def _play(self, day: list[tuple[datetime, str, Row]], speed: float) -> int:
        """`day` in time order: when, which door, and what to send. Returns how many events those were."""
        begin, started, at = day[0][0] + NIGHT, time.monotonic(), 0
        while at < len(day):
            clock = begin + timedelta(seconds=(time.monotonic() - started) * speed)
            due: dict[str, list[Row]] = {"transactions": [], "labels": []}
            while at < len(day) and day[at][0] <= clock and len(due["transactions"]) < EVENTS_MAX:
                _, door, row = day[at]
                due[door].append(row)
                at += 1
            before = time.monotonic()
            for door, rows in due.items():
                for start in range(0, len(rows), EVENTS_MAX):
                    self._post(door, rows[start : start + EVENTS_MAX])
            started += max(0.0, time.monotonic() - before - TICK_S)  # what waited does not all come at once
            time.sleep(TICK_S)
        return sum(door == "transactions" for _, door, _ in day)

    def _post(self, door: str, rows: list[Row]) -> None:
        while True:
            try:
                return self.sender.post(door, rows)
            except CommandError as error:
                if not self.patient:
                    raise
                self.stderr.write(f"{error} Trying again in {PATIENCE_S:.0f} s.")
                time.sleep(PATIENCE_S)


def _day(rate: float, speed: float, seed: int) -> list[tuple[datetime, str, Row]]:
    """A day that ends now, so that nothing of it lies in the future however fast it is played."""
    from ml.fraud.day import day_of

    wanted = rate * DAY.total_seconds() / speed
    frame = day_of(
        n_customers=max(60, round(wanted / PER_CUSTOMER)),
        start=(now() - DAY).replace(microsecond=0),
        seed=seed,
    )
    run = f"{time.time_ns():x}"
    chance = random.Random(seed)  # noqa: S311 - a show, not a secret
    rows = cast("list[Row]", frame.to_dict("records"))
    sent = [(row["occurred_at"].to_pydatetime(), "transactions", _event(row, run)) for row in rows]
    told = [label for row in rows for label in _labels(row, run, chance)]
    return list(heapq.merge(sent, sorted(told, key=_when), key=_when))


def _when(item: tuple[datetime, str, Row]) -> datetime:
    return item[0]


def _event(row: Row, run: str) -> Row:
    names = (
        "type",
        "card_token",
        "currency",
        "merchant_id",
        "terminal_id",
        "mcc",
        "country",
        "entry_mode",
        "channel",
    )
    given = {name: row[name] for name in ("device_id", "ip") if row[name]}
    return {
        "event_id": f"{row['event_id']}-{run}",
        "occurred_at": row["occurred_at"].isoformat(timespec="milliseconds"),
        "amount_minor": int(row["amount_minor"]),
        **{name: str(row[name]) for name in names},
        "latitude": round(float(row["latitude"]), 4),
        "longitude": round(float(row["longitude"]), 4),
        **given,
    }


def _labels(row: Row, run: str, chance: random.Random) -> Iterator[tuple[datetime, str, Row]]:
    """What its cardholder says within hours, if anything."""
    fraud = bool(row["fraud"])
    if chance.random() < (NOTICED if fraud else CONFIRMED):
        at = row["occurred_at"].to_pydatetime() + timedelta(hours=chance.uniform(0.5, 5))
        yield at, "labels", {"event_id": f"{row['event_id']}-{run}", "fraud": fraud, "source": "cardholder"}
