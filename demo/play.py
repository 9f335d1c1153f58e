"""Payments with attacks among them for as long as the demo runs, so that the analyst's pages move.

One of the demo's processes. A few events in two seconds: it is there to be looked at, not to load anything.
"""

from __future__ import annotations

import time

import django
from django.core.management import call_command

from demo.places import Places

EVENTS_RATE = 1.5


def main() -> None:
    django.setup()
    ready = Places.from_environment().summary
    while not ready.exists():
        time.sleep(1)
    call_command("simulate_day", rate=EVENTS_RATE, days=0, patient=True)


if __name__ == "__main__":
    main()
