"""Within an installation: promote and roll back in turns, then ask each answer of the version it names.

python -m benchmarks.swap_inside DOMAIN SWAPS

Two versions of the domain take turns, the older of them in service at first. Writes a line of JSON when the
swaps are done, reads one that names what was taken ({group: {ids, told}}), and writes what the replay found.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import django

django.setup()

from django.db import transaction  # noqa: E402

from apps.accounts.models import User  # noqa: E402
from apps.fraud.models import Decision  # noqa: E402
from apps.modelops.common.selectors import champion  # noqa: E402
from apps.modelops.models import ModelVersion  # noqa: E402
from apps.modelops.promotion.services import gate, promotion  # noqa: E402
from apps.radiology.models import Analysis  # noqa: E402
from benchmarks.swap_replay import REPLAYS  # noqa: E402
from ml.common.gate import GateLine, GateReport  # noqa: E402

DWELL_S = 0.5  # of a version in service, once it was seen to answer
SEEN_WITHIN_S = 30.0
# The newest answer of a version, by which one sees that it serves.
NEWEST: dict[str, Callable[[ModelVersion], Any]] = {
    "fraud": lambda version: Decision.objects.filter(model_version=version.number),
    "radiology": lambda version: Analysis.objects.filter(version=version),
}


def let_pass(version: ModelVersion) -> None:
    """The gate's word, as its process writes it down: whether it is right is not asked here."""
    site = version.dataset.site
    with transaction.atomic():  # or the worker might be there first
        run = gate.claim_gate_run(gate.request_gate_run(version, by=None, site=site).pk)
    if run is None:
        raise SystemExit("Somebody else holds the look at the gate.")
    gate.finish_gate_run(run, GateReport((GateLine("swap", "Swap", True, "For the benchmark."),), n=1))


def swap(domain: str, count: int) -> list[dict[str, Any]]:
    """By two people to the newer version and by one back again: in which seconds each was seen to answer."""
    first = champion(domain)
    if first is None:
        raise SystemExit(f"No {domain} model is in service.")
    second = ModelVersion.objects.filter(model=first.model, number__gt=first.number).latest("number")
    one, other = User.objects.filter(role="ml_admin").order_by("pk")[:2]
    site = first.dataset.site
    let_pass(second)
    made = []
    for number in range(count):
        into = second if number % 2 == 0 else first
        last = _newest(domain, into)
        begun = time.monotonic()
        if into == second:
            asked = promotion.ask_to_promote(second, by=one, site=site)
            promotion.approve_promotion(asked, by=other, site=site)
        else:
            promotion.roll_back(first, by=one, site=site)
        seen_s = _seen(domain, into, last, begun)
        made.append({"into": into.number, "seen_s": seen_s})
        threading.Event().wait(DWELL_S)
    return made


def _newest(domain: str, version: ModelVersion) -> int:
    return int(NEWEST[domain](version).order_by("-pk").values_list("pk", flat=True).first() or 0)


def _seen(domain: str, version: ModelVersion, last: int, begun: float) -> float | None:
    """Seconds until it answered; None where it did not in time."""
    while (took := time.monotonic() - begun) < SEEN_WITHIN_S:
        if NEWEST[domain](version).filter(pk__gt=last).exists():
            return took
        threading.Event().wait(0.05)
    return None


def main(domain: str, count: str) -> None:
    _say(swap(domain, int(count)))
    groups: Mapping[str, Mapping[str, Any]] = json.loads(sys.stdin.readline())
    _say({name: REPLAYS[domain](taken["ids"], taken["told"]) for name, taken in groups.items()})


def _say(what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
